"""What a batch costs Postgres, in things that can be counted: statements, rows, and bytes that differ tenfold."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest
from tests.support.builders import NOW, bulk_identify, delete, identify, merge, trigger, user
from tests.support.stores import OnPostgres

from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Job
from rollbook_shared.registry import parse_registry
from rollbook_worker.migrations.optional_indexes import create_index
from rollbook_worker.store import PostgresStore, ReceivedJob


@pytest.fixture
def subject(new_database: Callable[[], str]) -> Iterator[OnPostgres]:
    """A database of its own, whose statistics are of this test alone."""
    subject = OnPostgres(new_database())
    yield subject
    subject.close()


def arrive(subject: OnPostgres, *jobs: Job) -> None:
    subject.store.apply([ReceivedJob.of(encode(job)) for job in jobs], now=NOW)


def changes(subject: OnPostgres, table: str) -> dict[str, int]:
    """Rows inserted, updated (and of these, in place) and deleted since the database was made."""
    worker = subject.store._transactions._connections.get()
    worker.execute("SELECT pg_stat_force_next_flush()")
    columns = {"inserted": "n_tup_ins", "updated": "n_tup_upd", "in place": "n_tup_hot_upd", "deleted": "n_tup_del"}
    row = subject.connection.execute(
        f"SELECT {', '.join(columns.values())} FROM pg_stat_user_tables"
        f" WHERE schemaname = 'rollbook' AND relname = '{table}'".encode()
    ).fetchone()
    assert row is not None
    return dict(zip(columns, row, strict=True))


def bytes_written(subject: OnPostgres, *jobs: Job) -> int:
    position = "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint"
    (before,) = subject.connection.execute(position.encode()).fetchone() or (0,)
    arrive(subject, *jobs)
    (after,) = subject.connection.execute(position.encode()).fetchone() or (0,)
    return int(after - before)


@pytest.mark.parametrize("users", [1, 500])
def test_users_without_merges_take_two_statements_after_the_clock_however_many(
    subject: OnPostgres, users: int, statements: list[str]
) -> None:
    arrive(subject, identify("z", at=300))
    for plus in (1, 2):
        statements.clear()

        arrive(subject, bulk_identify(*(user(f"u{number}", n=plus) for number in range(users)), at=300, plus=plus))

        begun, entered, upserted = statements
        assert begun.startswith("BEGIN ")
        assert (entered, upserted) == ("WITH entered AS (", "WITH upserted AS (")


@pytest.mark.parametrize("users", [1, 20])
def test_a_few_identifies_take_one_statement_after_the_clock(
    subject: OnPostgres, users: int, statements: list[str]
) -> None:
    arrive(subject, identify("z", at=300))
    for plus in (1, 2):
        statements.clear()

        arrive(subject, *(identify(f"u{number}", at=300, plus=plus, n=plus) for number in range(users)))

        begun, entered = statements
        assert begun.startswith("BEGIN ")
        assert entered == "WITH entered AS ("


def test_a_member_of_a_cluster_takes_one_transaction_and_no_look_for_the_cluster(
    subject: OnPostgres, statements: list[str]
) -> None:
    arrive(subject, merge("a", "b", at=0), identify("c", at=0))
    statements.clear()

    arrive(subject, identify("b", at=1), identify("c", at=1, plus=1))

    begun, entered, locked, upserted, *_ = statements
    assert (entered, locked, upserted) == ("WITH entered AS (", "SELECT id", "WITH upserted AS (")
    assert sum(statement.startswith("BEGIN ") for statement in statements) == 1
    assert begun.startswith("BEGIN ")


def test_clusters_are_looked_for_of_those_users_alone_whom_the_jobs_do_not_name(
    subject: OnPostgres, statements: list[str]
) -> None:
    arrive(subject, merge("a", "b", at=0))
    statements.clear()

    arrive(subject, identify("c", at=1), trigger("hello", [user("b", n=1)], at=1, plus=1))

    assert statements.count("SELECT DISTINCT cluster_root") == 1
    assert sum(statement.startswith("BEGIN ") for statement in statements) == 1


@pytest.mark.parametrize("channel", ["email", "sms"])
def test_messages_that_leave_take_no_more_statements_than_those_that_stay_however_many(
    subject: OnPostgres, channel: str, statements: list[str]
) -> None:
    registry = parse_registry('[channels.mail]\ntype = "email"\ndelivery = "claim"\n')
    delivering = PostgresStore(subject.url, registry=lambda: registry)
    arrive(subject, identify("z", at=300))
    delivering.apply([ReceivedJob.of(encode(identify("z", at=300, plus=1)))], now=NOW)
    statements.clear()
    arrive(subject, trigger("hello", ["ann"], at=300, plus=2, channels=(channel,)))
    without = statements.copy()
    statements.clear()

    hello = trigger("hello", [f"u{number}" for number in range(200)], at=300, plus=3, channels=(channel,))
    delivering.apply([ReceivedJob.of(encode(hello))], now=NOW)
    delivering.close()

    assert len(statements) == len(without)


def test_updating_a_user_again_is_one_update_in_place(subject: OnPostgres) -> None:
    for at in range(5):
        arrive(subject, identify("a", plan=at, name="Ann", at=at))

    assert changes(subject, "users") == {"inserted": 1, "updated": 4, "in place": 4, "deleted": 0}
    assert changes(subject, "identify_log") == {"inserted": 0, "updated": 0, "in place": 0, "deleted": 0}


@pytest.mark.parametrize("in_cluster", [False, True])
@pytest.mark.parametrize("optional", [(), ("phone_number", "prefix", "created_at")])
def test_rule_35_only_a_change_of_what_users_are_found_by_is_no_update_in_place(
    subject: OnPostgres, in_cluster: bool, optional: tuple[str, ...]
) -> None:
    for name in optional:
        create_index(subject.url, name)
    found_by = {"email": "Ann@example.com", "phone_number": "+14155550100", "created_at": "2026-01-01T00:00:00Z"}
    arrive(subject, identify("a", name="Ann", at=0, **found_by))  # type: ignore[arg-type]
    if in_cluster:
        arrive(subject, merge("a", "b", at=0, plus=1))
    before = changes(subject, "users")

    for at in range(1, 5):
        arrive(subject, identify("a", plan=at, name="ANN", at=at, **found_by))  # type: ignore[arg-type]

    same = changes(subject, "users")
    assert same["updated"] - before["updated"] == same["in place"] - before["in place"] >= 4

    arrive(subject, identify("a", email="other@example.com", at=6))

    other = changes(subject, "users")
    assert other["updated"] - same["updated"] == other["in place"] - same["in place"] + 1


def test_updating_cluster_members_again_is_an_update_in_place(subject: OnPostgres) -> None:
    arrive(subject, merge("a", "b", at=0), delete("c", at=0))
    before = changes(subject, "users")

    for at in range(1, 4):
        arrive(subject, bulk_identify(user("b", plan=at), user("c", plan=at), at=at))

    after = changes(subject, "users")
    assert after["updated"] - before["updated"] == after["in place"] - before["in place"] > 0
    assert after["inserted"] == before["inserted"]


def test_updating_a_user_with_the_same_values_writes_next_to_nothing_however_large_the_user(
    subject: OnPostgres,
) -> None:
    large = random.Random(1).randbytes(100_000).hex()
    arrive(subject, identify("a", bio=large, plan="pro", at=1))

    again = bytes_written(subject, identify("a", bio=large, plan="pro", at=2))
    changed = bytes_written(subject, identify("a", bio=large[::-1], plan="pro", at=3))

    assert changed > 100_000
    # a page image after a checkpoint is 8 KiB for each of a few pages
    assert again < changed / 3
