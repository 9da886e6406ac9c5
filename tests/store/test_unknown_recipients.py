"""Rule 44: what was addressed to ids that stood for no user is forgotten once the settling time is over, no sooner."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from tests.support.builders import DAY, NOW, day, delete, identify, mark, merge, trigger, user
from tests.support.conflicting_jobs import job_sets, timestamps
from tests.support.example_counts import examples
from tests.support.stores import OnPostgres, Subject, arrive
from tests.support.table_contents import tables_with

from rollbook_shared.domain.deterministic_ids import message_id
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Job
from rollbook_shared.reference.oracle import oracle
from rollbook_shared.reference.world import first_difference

SETTLED = day(3, 1)
"""A day, and a little, after day 2."""


def apply(subject: Subject, *jobs: Job, now: int = NOW) -> None:
    arrive(subject, *map(encode, jobs), now=now)


def messages(subject: Subject) -> set[str]:
    return {message["owner"] for message in subject.world()["messages"].values()}


def test_what_was_addressed_to_an_unknown_id_is_forgotten_once_settled(subject: Subject) -> None:
    apply(subject, identify("known", at=1), trigger("hello", ["stranger", "known"], at=2, channels=("in_app", "push")))

    subject.forget_unknown_recipients(now=SETTLED)

    assert subject.rows_of_recipient("stranger") == 0
    assert subject.rows_of_recipient("known") == 3
    assert messages(subject) == {"known"}


def test_it_is_kept_while_a_job_from_before_the_trigger_may_arrive(subject: Subject) -> None:
    apply(subject, trigger("hello", ["late"], at=2))

    subject.forget_unknown_recipients(now=day(3) - 1)
    apply(subject, identify("late", at=1))
    subject.forget_unknown_recipients(now=SETTLED)

    assert messages(subject) == {"late"}


def test_it_is_forgotten_of_an_id_that_was_identified_after_the_trigger(subject: Subject) -> None:
    apply(subject, trigger("hello", ["ann"], at=2), identify("ann", at=2, plus=5))

    subject.forget_unknown_recipients(now=SETTLED)

    assert subject.rows_of_recipient("ann") == 0


def test_what_was_addressed_to_a_secondary_is_kept(subject: Subject) -> None:
    apply(subject, identify("guest", at=1), trigger("hello", ["guest"], at=2), merge("ann", "guest", at=2, plus=5))

    subject.forget_unknown_recipients(now=SETTLED)

    assert messages(subject) == {"ann"}


def test_a_merge_that_made_the_recipient_known_counts(subject: Subject) -> None:
    apply(subject, trigger("hello", ["ann"], at=2))
    apply(subject, identify("guest", at=1), merge("ann", "guest", at=1, plus=5))

    subject.forget_unknown_recipients(now=SETTLED)

    assert messages(subject) == {"ann"}


def test_a_trigger_that_is_delivered_again_is_forgotten_again(subject: Subject) -> None:
    hello = trigger("hello", ["stranger"], at=2)
    apply(subject, hello)
    subject.forget_unknown_recipients(now=SETTLED)
    if isinstance(subject, OnPostgres):  # after a week its row is pruned, and it is applied as if it were new
        subject.connection.execute("DELETE FROM rollbook.jobs")
    apply(subject, hello)

    subject.forget_unknown_recipients(now=SETTLED)

    assert subject.rows_of_recipient("stranger") == 0


@examples(60)
@given(jobs=job_sets, horizon=timestamps)
def test_rule_24_holds_for_jobs_within_the_settling_time(jobs: list[Job], horizon: int, subject: Subject) -> None:
    """Whatever arrives afterwards that is not older, and in whatever order."""
    subject.reset()

    for job in jobs:
        if job.occurred_at < horizon:
            apply(subject, job)
    subject.forget_unknown_recipients(now=horizon + DAY)
    for job in reversed(jobs):
        if job.occurred_at >= horizon:
            apply(subject, job)
    subject.forget_unknown_recipients(now=horizon + DAY)

    assert first_difference(subject.world(), oracle(jobs)) is None


@pytest.fixture
def store(on_postgres: OnPostgres) -> OnPostgres:
    on_postgres.reset()
    return on_postgres


def test_nothing_is_left_of_what_was_addressed_to_an_unknown_id(store: OnPostgres) -> None:
    marked = message_id("hello", "marked-id", "in_app")
    apply(store, trigger("hello", ["marked-id"], at=2, job="hello"), mark([marked], "seen", at=2, plus=1))
    store.connection.execute("DELETE FROM rollbook.jobs")  # whose details name it for a week
    assert tables_with(store, "marked-id") == ["activities", "messages", "unknown_recipients"]

    store.forget_unknown_recipients(now=SETTLED)

    assert tables_with(store, "marked-id") == []
    assert tables_with(store, str(marked)) == []
    assert tables_with(store, "hello") == []


def test_rule_11_what_was_addressed_to_a_deleted_user_is_forgotten(store: OnPostgres) -> None:
    gone = delete("marked-ann", at=1, plus=1, job="j2")
    apply(store, identify("marked-ann", at=1, job="j1"), gone, trigger("hello", ["marked-ann"], at=2))
    store.store.cleanup.erase_deleted_users(now=SETTLED)

    store.forget_unknown_recipients(now=SETTLED)

    assert tables_with(store, "marked-ann") == []


def test_rule_11_and_if_the_delete_arrived_only_after_the_trigger(store: OnPostgres) -> None:
    apply(store, identify("marked-ann", at=1, job="j1"), trigger("hello", ["marked-ann"], at=2))
    apply(store, delete("marked-ann", at=1, plus=1, job="j2"))
    store.store.cleanup.erase_deleted_users(now=SETTLED)

    store.forget_unknown_recipients(now=SETTLED)

    assert tables_with(store, "marked-ann") == []


def test_rule_11_erasure_leaves_no_note_of_what_was_addressed_before_the_user_existed(store: OnPostgres) -> None:
    apply(store, trigger("hello", ["marked-ann"], at=2))
    apply(store, identify("marked-ann", at=2, plus=1), delete("marked-ann", at=2, plus=2))

    store.store.cleanup.erase_user("marked-ann", now=day(2, 3))

    assert "unknown_recipients" not in tables_with(store, "marked-ann")


def test_each_transaction_looks_at_a_bounded_number_of_recipients(store: OnPostgres) -> None:
    apply(store, trigger("hello", [f"u{number}" for number in range(5)], at=2))

    looked_at = [store.store.cleanup.forget_unknown_recipients(now=SETTLED, limit=2) for _ in range(4)]

    assert looked_at == [2, 2, 1, 0]


def test_known_recipients_are_not_noted(store: OnPostgres) -> None:
    apply(store, identify("a", at=1), trigger("hello", ["a", user("b", plan="pro")], at=2))

    assert store.connection.execute("SELECT count(*) FROM rollbook.unknown_recipients").fetchone() == (0,)


def test_forgetting_looks_at_no_rows_of_others(store: OnPostgres) -> None:
    others = """
        INSERT INTO rollbook.activities
        SELECT gen_random_uuid(), 'j' || n, '0', 'u' || n FROM generate_series(1, 20000) n;
        INSERT INTO rollbook.messages
        SELECT gen_random_uuid(), 'j' || n, '0', 'u' || n, 'x' FROM generate_series(1, 20000) n;
        INSERT INTO rollbook.unknown_recipients SELECT 'z', 'u' || n FROM generate_series(1, 20000) n;
    """
    store.connection.execute(others)
    store.connection.execute("ANALYZE rollbook.activities, rollbook.messages, rollbook.unknown_recipients")
    apply(store, trigger("hello", ["stranger"], at=2))
    tables = ("activities", "messages", "unknown_recipients")
    before = _rows_read(store, tables)

    store.store.cleanup.forget_unknown_recipients(now=SETTLED)

    assert _rows_read(store, tables) - before < 100


def _rows_read(store: OnPostgres, tables: tuple[str, ...]) -> int:
    worker: Any = store.store._transactions._connections.get()
    worker.execute("SELECT pg_stat_force_next_flush()")
    row = store.connection.execute(
        "SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::bigint FROM pg_stat_user_tables"
        " WHERE relid = ANY(%(tables)s::regclass[])"
        " OR relid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = ANY(%(tables)s::regclass[]))",
        {"tables": [f"rollbook.{table}" for table in tables]},
    ).fetchone()
    assert row is not None
    return int(row[0])
