"""What comes later than the settling time, when erasure has taken the delete it is from before (rules 7 and 11)."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import pytest
from tests.support.builders import bulk_identify, day, delete, identify, merge, trigger, user
from tests.support.lock_interleaving import start_while_blocked
from tests.support.stores import OnPostgres, arrive
from tests.support.table_contents import tables_with

from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Job, Trigger
from rollbook_worker.store import PostgresStore

MINUTE: Final = 60_000_000


@pytest.fixture
def store(on_postgres: OnPostgres) -> OnPostgres:
    on_postgres.reset()
    return on_postgres


def apply(store: OnPostgres, *jobs: Job, now: int) -> None:
    arrive(store, *map(encode, jobs), now=now)


def a_life() -> list[Job]:
    return [
        identify("ann", at=10, job="j1"),
        identify("guest", at=10, job="j2"),
        identify("bo", at=10, job="j3"),
        merge("ann", "guest", at=10, plus=1, job="j4"),
        delete("ann", at=12, job="j5"),
    ]


def test_a_job_that_waited_for_the_erasure_does_not_restore_the_user(store: OnPostgres) -> None:
    apply(store, identify("ann", at=10), delete("ann", at=12), now=day(12, 1))

    start_while_blocked(
        store,
        "SELECT FROM rollbook.users WHERE id = 'ann' FOR UPDATE",
        lambda: store.store.cleanup.erase_deleted_users(now=day(14)),
        lambda: apply(store, identify("ann", at=11, name="Back"), now=day(14)),
    )

    assert store.world()["users"] == {}
    store.store.cleanup.erase_deleted_users(now=day(14))
    assert tables_with(store, "Back") == []


def test_a_job_that_waited_for_the_erasure_does_not_change_the_new_user_of_the_id(store: OnPostgres) -> None:
    jobs: list[Job] = [identify("ann", at=10), delete("ann", at=12), identify("ann", at=13, name="New Ann")]
    apply(store, *jobs, now=day(13, 1))

    start_while_blocked(
        store,
        "SELECT FROM rollbook.users WHERE id = 'ann' FOR UPDATE",
        lambda: store.store.cleanup.erase_deleted_users(now=day(13, 1)),
        lambda: apply(store, identify("ann", at=11, plan="old"), now=day(13, 1)),
    )

    ann = store.world()["users"]["ann"]
    assert (ann["attributes"], ann["properties"]) == ({"name": "New Ann"}, {})


@pytest.mark.parametrize(
    "late",
    [
        [bulk_identify(user("ann", name="Back"), user("bo", name="Bo"), at=11, job="late")],
        [identify("ann", name="Back", at=11, job="late"), identify("bo", name="Bo", at=11, job="later")],
    ],
)
def test_late_jobs_do_not_restore_an_erased_user(store: OnPostgres, late: list[Job]) -> None:
    apply(store, *a_life(), now=day(12, 1))
    store.store.cleanup.erase_deleted_users(now=day(14))

    apply(store, *late, now=day(14))

    assert list(store.world()["users"]) == ["bo"]
    store.store.cleanup.erase_deleted_users(now=day(14))
    assert tables_with(store, "ann") == tables_with(store, "Back") == []


@pytest.mark.parametrize("late", [trigger("w", ["ann", "bo"], at=11), trigger("w", ["bo"], actor="ann", at=11)])
def test_a_late_trigger_that_names_an_erased_user_is_erased_as_well(store: OnPostgres, late: Trigger) -> None:
    apply(store, *a_life(), now=day(12, 1))
    store.store.cleanup.erase_deleted_users(now=day(14))

    apply(store, late.model_copy(update={"id": "late"}), now=day(14))

    store.store.cleanup.erase_deleted_users(now=day(14))
    assert tables_with(store, "ann") == []
    (message,) = store.world()["messages"].values()
    assert (message["owner"], message["missing_actor"]) == ("bo", late.actor == "ann")


def test_a_late_trigger_that_arrives_during_the_erasure_is_erased_as_well(store: OnPostgres) -> None:
    apply(store, *a_life(), now=day(12, 1))

    # the erasure has taken the messages when it comes to the row of the guest
    start_while_blocked(
        store,
        "SELECT FROM rollbook.users WHERE id = 'guest' FOR UPDATE",
        lambda: store.store.cleanup.erase_deleted_users(now=day(14)),
        lambda: apply(store, trigger("w", ["ann"], at=11, job="late"), now=day(14)),
    )

    store.store.cleanup.erase_deleted_users(now=day(14))
    assert tables_with(store, "ann") == []


@pytest.mark.parametrize(
    ("settling", "ahead"),
    [(24, timedelta(minutes=10)), (20, timedelta())],
    ids=["its clock is ahead", "its settling time is shorter"],
)
def test_maintenance_with_a_fast_clock_lets_no_user_be_restored(
    store: OnPostgres, settling: int, ahead: timedelta
) -> None:
    apply(store, *a_life(), now=day(12, 1))
    now = day(13) - 5 * MINUTE
    maintenance = PostgresStore(store.url, erasure_delay=timedelta(hours=settling))
    assert maintenance.cleanup.erase_deleted_users(now=now + ahead // timedelta(microseconds=1)) == 1
    maintenance.close()

    apply(store, identify("ann", at=12, plus=-MINUTE, name="Back"), now=now)

    assert list(store.world()["users"]) == ["bo"]
