"""Rule 29 for other jobs: a blocked deferred job delays no other one, and is applied or discarded in the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

import psycopg
import pytest
from psycopg import errors
from tests.support.builders import NOW, day, identify
from tests.support.slow_user import slow_user_sql
from tests.support.stores import OnPostgres, arrive

from rollbook_shared.errors import Unavailable
from rollbook_shared.jobs.codec import encode
from rollbook_worker.core import Facts, facts_of
from rollbook_worker.store import PostgresStore
from rollbook_worker.store.retry import Blocked

TRIES: Final = 2
NAMES: Final = ("u0", "u1", "u2", "u3")


@pytest.fixture
def due(on_postgres: OnPostgres) -> OnPostgres:
    """A store in which a job for each of four users is due."""
    on_postgres.reset()
    defer(on_postgres)
    return on_postgres


@pytest.fixture
def store(due: OnPostgres) -> Iterator[PostgresStore]:
    store = PostgresStore(due.url, lock_timeout=timedelta(milliseconds=200), max_deliveries=TRIES)
    yield store
    store.close()


@pytest.fixture
def failures(monkeypatch: pytest.MonkeyPatch) -> dict[str, Exception]:
    """By user, how applying a job for it fails."""
    failures: dict[str, Exception] = {}

    def facts(job: Any) -> Iterable[Facts]:
        if job.user.id in failures:
            raise failures[job.user.id]
        return facts_of(job)

    monkeypatch.setattr("rollbook_worker.store.postgres.facts_of", facts)
    return failures


def defer(store: OnPostgres) -> None:
    jobs = [identify(name, at=1, plus=plus, job=f"j{plus}") for plus, name in enumerate(NAMES)]
    arrive(store, *(encode(job.model_copy(update={"deferred": True})) for job in jobs), now=day(0))


@contextmanager
def locked(url: str, statement: str) -> Iterator[None]:
    """Another transaction that holds what the statement locks."""
    with psycopg.connect(url) as other:
        other.execute(statement.encode())
        yield


def users(store: OnPostgres) -> set[str]:
    return set(store.world()["users"])


def test_a_job_of_a_locked_user_delays_no_other_and_is_applied_after_the_lock(
    due: OnPostgres, store: PostgresStore
) -> None:
    arrive(due, encode(identify("u1", at=0)), now=day(0))

    with locked(due.url, "SELECT 1 FROM rollbook.users WHERE id = 'u1' FOR UPDATE"):
        assert store.dispatcher.release_due(now=NOW) == 3
        assert due.deferred() == ["j1"]
        assert [store.dispatcher.release_blocked(now=NOW) for _ in range(TRIES + 1)] == [0] * (TRIES + 1)

    assert store.dispatcher.release_blocked(now=NOW) == 1
    assert (due.deferred(), due.dead()) == ([], [])
    assert due.ledger()["j1"][0] == "applied"


def test_a_job_that_always_takes_too_long_delays_no_other_and_becomes_a_dead_letter(
    new_database: Callable[[], str],
) -> None:
    due = OnPostgres(new_database())
    due.connection.execute(slow_user_sql("u1").encode())
    defer(due)
    store = PostgresStore(due.url, statement_timeout=timedelta(seconds=1), max_deliveries=TRIES)

    store.dispatcher.release_due(now=NOW)

    assert users(due) == {"u0", "u2", "u3"}
    assert due.deferred() == ["j1"]
    for _ in range(TRIES):
        assert due.dead() == []
        store.dispatcher.release_blocked(now=NOW)
    assert (due.deferred(), due.dead()) == ([], [("j1", "too_slow")])
    assert due.connection.execute("SELECT reason FROM rollbook.dead_letters").fetchone() == (
        f"the database took too long over a statement, {TRIES} times by itself",
    )
    store.close()
    due.close()


def test_jobs_are_first_tried_with_short_timeouts_and_a_blocked_one_with_the_full_ones(
    due: OnPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    bounds: list[str] = []

    def write(self: PostgresStore, cursor: psycopg.Cursor, *how: object) -> None:
        cursor.execute("SHOW statement_timeout")
        bounds.extend(value for (value,) in cursor.fetchall())
        if len(bounds) < 3:
            raise errors.QueryCanceled

    monkeypatch.setattr(PostgresStore, "_write", write)
    store = PostgresStore(due.url)

    store.dispatcher.release_due(now=NOW)
    store.dispatcher.release_blocked(now=NOW)

    together_each_and_by_itself = ["2s", *["2s"] * len(NAMES), "30s"]
    assert bounds == together_each_and_by_itself
    store.close()


def test_without_a_bound_a_slow_job_never_becomes_a_dead_letter(
    due: OnPostgres, failures: dict[str, Exception]
) -> None:
    failures["u1"] = errors.QueryCanceled()
    store = PostgresStore(due.url, max_deliveries=0)
    store.dispatcher.release_due(now=NOW)

    for _ in range(10):
        store.dispatcher.release_blocked(now=NOW)

    assert (due.deferred(), due.dead()) == (["j1"], [])
    store.close()


@pytest.mark.parametrize("away", [errors.AdminShutdown(), psycopg.OperationalError()])
def test_an_outage_counts_no_attempt_of_a_job(
    due: OnPostgres, store: PostgresStore, failures: dict[str, Exception], away: Exception
) -> None:
    failures["u1"] = errors.LockNotAvailable()
    store.dispatcher.release_due(now=NOW)

    failures["u1"] = away
    for _ in range(TRIES + 1):
        with pytest.raises(Unavailable) as raised:
            store.dispatcher.release_blocked(now=NOW)
        assert not isinstance(raised.value, Blocked)

    failures["u1"] = errors.QueryCanceled()
    store.dispatcher.release_blocked(now=NOW)
    assert (due.deferred(), due.dead()) == (["j1"], [])


def test_an_outage_makes_no_job_count_as_blocked(
    due: OnPostgres, store: PostgresStore, failures: dict[str, Exception]
) -> None:
    failures["u1"] = errors.AdminShutdown()
    with pytest.raises(Unavailable):
        store.dispatcher.release_due(now=NOW)

    failures.clear()

    assert store.dispatcher.release_due(now=NOW) == len(NAMES)


def test_a_blocked_job_that_cannot_be_applied_becomes_a_dead_letter(
    due: OnPostgres, store: PostgresStore, failures: dict[str, Exception]
) -> None:
    failures["u1"] = errors.QueryCanceled()
    store.dispatcher.release_due(now=NOW)

    failures["u1"] = errors.DataError()
    store.dispatcher.release_blocked(now=NOW)

    assert (due.deferred(), due.dead()) == ([], [("j1", "unstorable")])


def test_a_blocked_job_that_another_dispatcher_tries_is_kept_for_later(
    due: OnPostgres, store: PostgresStore, failures: dict[str, Exception]
) -> None:
    failures["u1"] = errors.QueryCanceled()
    store.dispatcher.release_due(now=NOW)
    failures.clear()

    with locked(due.url, "SELECT 1 FROM rollbook.deferred_jobs WHERE id = 'j1' FOR UPDATE"):
        assert store.dispatcher.release_blocked(now=NOW) == 0

    assert store.dispatcher.release_blocked(now=NOW) == 1


def test_a_cancelled_job_no_longer_counts_as_blocked_under_its_id(
    due: OnPostgres, store: PostgresStore, failures: dict[str, Exception]
) -> None:
    failures["u1"] = errors.QueryCanceled()
    store.dispatcher.release_due(now=NOW)
    failures.clear()
    due.connection.execute("DELETE FROM rollbook.deferred_jobs")
    due.connection.execute("DELETE FROM rollbook.jobs")

    assert store.dispatcher.release_blocked(now=NOW) == 0

    defer(due)
    assert store.dispatcher.release_due(now=NOW) == len(NAMES)
