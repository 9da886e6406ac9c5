"""Rule 11 on Postgres: after the erasure delay nothing of a deleted user is left, and no other user sees a change."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from tests.support.builders import (
    day,
    delete,
    identify,
    mark,
    mark_all,
    merge,
    set_preferences,
    trigger,
    update_preferences,
)
from tests.support.conflicting_jobs import job_sets, timestamps
from tests.support.example_counts import examples
from tests.support.stores import OnPostgres, arrive
from tests.support.table_contents import everything, tables_with

from rollbook_shared.domain.deterministic_ids import message_id
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Job
from rollbook_shared.reference.oracle import oracle
from rollbook_shared.reference.world import first_difference
from rollbook_worker.maintenance.erase import erase as erase_user


@pytest.fixture
def store(on_postgres: OnPostgres) -> OnPostgres:
    on_postgres.reset()
    return on_postgres


def apply(store: OnPostgres, *jobs: Any, now: int) -> None:
    arrive(store, *map(encode, jobs), now=now)


def erase(store: OnPostgres, *, now: int) -> None:
    store.store.cleanup.erase_deleted_users(now=now)
    store.store.cleanup.erase_unowned_history(now=now)


def a_life() -> list[Job]:
    return [
        identify("ann", at=1, job="j01", email="ann@example.com", hobby="marked-hobby"),
        set_preferences("ann", "default", {"workflows": {"marked-flow": False}}, at=1, plus=1, job="j02"),
        identify(
            "guest", at=1, plus=2, job="j03", hobby="marked-guest", channel_data={"fcm": {"tokens": ["marked-phone"]}}
        ),
        identify("bo", at=1, plus=3, job="j04", name="Bo"),
        trigger("hello", ["ann", "guest"], at=2, job="j05", actor="bo"),
        trigger("hello", ["bo", "stranger"], at=2, plus=1, job="j06", actor="ann"),
        merge("ann", "guest", at=3, job="j07"),
        identify("guest", at=4, job="j08", late="marked-late"),
        delete("ann", at=5, job="j09"),
    ]


def test_nothing_is_erased_before_the_erasure_delay_is_over(store: OnPostgres) -> None:
    apply(store, *a_life(), now=day(5))

    erase(store, now=day(5) + 60_000_000)

    assert tables_with(store, "marked-") == ["preference_set_versions", "resolved_preference_sets", "users"]


@pytest.mark.parametrize("trace", ["ann", "guest", "marked-"])
def test_rule_11_nothing_of_a_deleted_user_is_left_in_any_table(store: OnPostgres, trace: str) -> None:
    apply(store, *a_life(), now=day(5))
    assert tables_with(store, trace) != []

    erase(store, now=day(6, 1))

    assert tables_with(store, trace) == []


def test_rule_11_a_receipt_remains_that_counts_what_was_erased(store: OnPostgres) -> None:
    apply(store, *a_life(), now=day(5))

    erase(store, now=day(6, 1))

    receipts: list[dict[str, Any]] = [
        erased
        for (erased,) in store.connection.execute(
            "SELECT erased FROM rollbook.erasure_receipts ORDER BY erased ->> 'identify_log'"
        )
    ]
    assert sorted((r["users"], r["messages"], r["activities"]) for r in receipts) == [(1, 1, 1), (1, 1, 1)]


def test_erasure_changes_nothing_for_other_users(store: OnPostgres) -> None:
    apply(store, *a_life(), now=day(5))
    before = store.world()

    erase(store, now=day(6, 1))

    assert store.world() == before
    assert [message["missing_actor"] for message in before["messages"].values()] == [True]


@pytest.mark.parametrize("id_", ["ann", "guest"])
def test_rule_7_a_job_that_arrives_after_the_erasure_does_not_restore_the_user(store: OnPostgres, id_: str) -> None:
    apply(store, *a_life(), now=day(5))
    erase(store, now=day(6, 1))

    apply(store, identify(id_, at=4, plus=5, job="k1", hobby="marked-again"), now=day(7))
    apply(store, identify("guest", at=4, plus=6, job="k2", hobby="marked-again"), now=day(7))

    assert list(store.world()["users"]) == ["bo"]
    erase(store, now=day(7))
    assert tables_with(store, "marked-") == []


def test_rule_10_an_erased_id_used_again_inherits_nothing_and_is_an_ordinary_user(store: OnPostgres) -> None:
    apply(store, *a_life(), now=day(5))
    apply(store, identify("ann", at=5, plus=1, job="k1", name="New Ann"), now=day(5, 2))

    erase(store, now=day(6, 1))

    ann = store.world()["users"]["ann"]
    assert (ann["attributes"], ann["properties"]) == ({"name": "New Ann"}, {})
    assert tables_with(store, "marked-") == []
    cluster_root = store.connection.execute("SELECT cluster_root FROM rollbook.users WHERE id = 'ann'").fetchone()
    assert cluster_root == (None,)


def test_a_delete_without_effect_is_removed_without_a_receipt(store: OnPostgres) -> None:
    apply(store, *a_life()[:-1], delete("guest", at=5, job="j09"), now=day(5))

    erase(store, now=day(6, 1))

    assert everything(store)["erasure_receipts"] == []
    assert store.store.cleanup.erase_deleted_users(now=day(6, 1)) == 0
    assert store.world()["merged"] == {"guest": "ann"}


def test_rule_14_history_that_a_merge_did_not_transfer_is_erased(store: OnPostgres) -> None:
    jobs = [
        identify("guest", at=1, job="j1"),
        identify("ann", at=1, plus=1, job="j2"),
        trigger("old-flow", ["guest"], at=2, job="j3"),
        trigger("new-flow", ["guest"], at=30, job="j4"),
        merge("ann", "guest", at=40, job="j5"),
    ]
    apply(store, *jobs, now=day(40))
    before = store.world()

    erase(store, now=day(45))

    assert store.world() == before
    assert tables_with(store, "old-flow") == []
    assert tables_with(store, "new-flow") == ["triggers"]


def test_immediate_erasure_leaves_only_the_delete_until_the_delay_is_over(store: OnPostgres) -> None:
    apply(store, *a_life()[:-1], now=day(5))

    rows = erase_user(store.store, "ann", now=day(5))

    assert tables_with(store, "marked-") == []
    assert tables_with(store, "ann") == ["lifecycle_events", "ownership_periods", "users"]
    assert rows["messages"] == 2
    apply(store, identify("guest", at=4, plus=5, job="k1", hobby="marked-late"), now=day(5, 1))
    assert list(store.world()["users"]) == ["bo"]
    erase(store, now=day(6, 1))
    assert tables_with(store, "ann") == []
    assert tables_with(store, "marked-") == []


def test_immediate_erasure_of_a_merged_away_id_erases_no_user(store: OnPostgres) -> None:
    apply(store, *a_life()[:-1], now=day(5))
    before = store.world()

    assert erase_user(store.store, "guest", now=day(5)) == {}

    assert store.world() == before


def test_dead_letters_that_name_the_user_are_erased(store: OnPostgres) -> None:
    apply(store, *a_life(), now=day(5))
    apply(store, identify("bo", at=2, job="j01"), identify("ann", at=2, job="j02"), now=day(5))
    assert len(everything(store)["dead_letters"]) == 2

    erase(store, now=day(6, 1))

    assert len(everything(store)["dead_letters"]) == 1


@examples(60)
@given(jobs=job_sets, horizon=timestamps)
def test_compaction_of_the_identify_log_changes_nothing_that_readers_see(
    jobs: list[Job], horizon: int, on_postgres: OnPostgres
) -> None:
    on_postgres.reset()
    now = horizon + 86_400_000_000

    for job in jobs:
        if job.occurred_at < horizon:
            apply(on_postgres, job, now=now)
    on_postgres.store.cleanup.compact_identify_log(now=now, limit=2)
    for job in jobs:
        if job.occurred_at >= horizon:
            apply(on_postgres, job, now=day(300))
    on_postgres.store.cleanup.compact_identify_log(now=now, limit=2)

    assert first_difference(on_postgres.world(), oracle(jobs)) is None


def test_compaction_removes_old_identify_stamps_of_a_user_without_merges(store: OnPostgres) -> None:
    apply(store, *(identify("ann", at=5, plus=plus, job=f"j{plus}", n=plus) for plus in range(100)), now=day(5))
    apply(store, merge("cy", "bo", at=4), now=day(5))
    apply(store, *(identify("bo", at=5, plus=plus, job=f"k{plus}", n=plus) for plus in range(100)), now=day(5))
    before = len(everything(store)["identify_log"])

    taken = store.store.cleanup.compact_identify_log(now=day(7))

    assert taken == before / 2 > 0
    assert tables_with(store, "ann") == ["users"]
    assert len(everything(store)["identify_log"]) == taken


@examples(60)
@given(jobs=job_sets, horizon=timestamps)
def test_erasure_at_any_time_agrees_with_the_reference(jobs: list[Job], horizon: int, on_postgres: OnPostgres) -> None:
    on_postgres.reset()
    now = horizon + 86_400_000_000

    for job in jobs:
        if job.occurred_at < horizon:
            apply(on_postgres, job, now=now)
    erase(on_postgres, now=now)
    for job in jobs:
        if job.occurred_at >= horizon:
            apply(on_postgres, job, now=day(300))
    erase(on_postgres, now=now)

    assert first_difference(on_postgres.world(), oracle(jobs)) is None


@examples(60)
@given(jobs=job_sets)
def test_redelivery_after_erasure_changes_nothing(jobs: list[Job], on_postgres: OnPostgres) -> None:
    on_postgres.reset()
    apply(on_postgres, *jobs, now=day(300))
    erase(on_postgres, now=day(300))

    # a year later even the ledger has forgotten them
    on_postgres.connection.execute("DELETE FROM rollbook.jobs")
    deletes_only_known_by_receipts = [job for job in jobs if job.kind in ("identify", "bulk_identify", "trigger")]
    before = on_postgres.world()
    apply(on_postgres, *deletes_only_known_by_receipts, now=day(600))

    assert on_postgres.world()["users"].keys() == before["users"].keys()
    assert on_postgres.world()["messages"] == before["messages"]


def test_rule_30_an_id_used_again_keeps_no_key_of_the_erased_user(store: OnPostgres) -> None:
    jobs: list[Job] = [
        set_preferences("ann", "default", {"workflows": {"news": False, "marked-flow": False}}, at=1),
        delete("ann", at=2),
        update_preferences("ann", "default", {"workflows": {"digest": False}}, at=3),
        trigger("news", ["ann"], at=4),
    ]
    apply(store, *jobs, now=day(4))

    erase(store, now=day(4))

    world = store.world()
    assert world["users"]["ann"]["preferences"] == {"default": {"workflows": {"digest": False}}}
    assert [row["workflow"] for row in world["messages"].values()] == ["news"]
    assert tables_with(store, "marked-flow") == []


def test_rule_33_what_an_erased_user_marked_is_erased(store: OnPostgres) -> None:
    message = message_id("hello", "bo", "in_app")
    jobs: list[Job] = [
        identify("marked-ann", at=1, job="j0"),
        trigger("hello", [identify("bo", at=0).user], at=2, job="hello"),
        mark([message], "archived", at=3, user_id="marked-ann", job="j1"),
        mark_all("marked-ann", "read", at=3, job="j2"),
        delete("marked-ann", at=4, job="j3"),
    ]
    apply(store, *jobs, now=day(4))
    before = tables_with(store, "marked-ann")

    erase(store, now=day(6))

    assert {"engagements", "channel_engagements"} <= set(before)
    assert tables_with(store, "marked-ann") == []


def test_rule_33_what_arrives_late_of_an_erased_user_is_erased_too(store: OnPostgres) -> None:
    apply(store, identify("marked-ann", at=1, job="j1"), delete("marked-ann", at=4, job="j2"), now=day(4))
    erase(store, now=day(6))
    late: list[Job] = [
        mark([message_id("hello", "bo", "in_app")], "read", at=3, user_id="marked-ann", job="j3"),
        mark_all("marked-ann", "read", at=3, job="j4"),
    ]

    apply(store, *late, now=day(6))
    erase(store, now=day(8))

    assert tables_with(store, "marked-ann") == []
