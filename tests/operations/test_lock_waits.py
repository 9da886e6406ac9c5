"""Transactions that wait for locks in Postgres, and how often contention occurs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest
from psycopg import errors
from tests.support.builders import day, identify
from tests.support.waits import DEADLINE_SECONDS, wait_until

from rollbook_shared.errors import Unavailable
from rollbook_shared.jobs.codec import encode
from rollbook_shared.observability.inspection import find_lock_waits
from rollbook_worker.store import PostgresStore, ReceivedJob
from rollbook_worker.store.fact_writer import ClustersNotLocked
from rollbook_worker.store.retry import Contention
from rollbook_worker.store.transactions import Transactions


@pytest.fixture
def looking(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


def contention_of(database_url: str, *found: Exception) -> list[Contention]:
    """What is reported when these come up, one an attempt."""
    contention: list[Contention] = []
    second = timedelta(seconds=1)
    attempts = iter(found)

    def work(cursor: object, now: int, roots: frozenset[str]) -> None:
        if (error := next(attempts, None)) is not None:
            raise error

    Transactions(database_url, lock=second, statement=second, on_contention=contention.append).run_locking(work)
    return contention


def test_a_waiting_transaction_is_found_with_its_age(database_url: str, looking: psycopg.Connection) -> None:
    contention: list[Contention] = []
    arrival = ReceivedJob.of(encode(identify("ann", at=1, job="job-1")))
    store = PostgresStore(database_url, lock_timeout=timedelta(seconds=4), on_contention=contention.append)
    store.apply([arrival], now=day(3))
    later = ReceivedJob.of(encode(identify("ann", at=2, job="job-2", plan="pro")))
    failures: list[Exception] = []

    def apply() -> None:
        try:
            store.apply([later], now=day(3))
        except Unavailable as error:
            failures.append(error)

    with psycopg.connect(database_url) as other:
        other.execute("UPDATE rollbook.users SET id = id")
        waiting = threading.Thread(target=apply)
        waiting.start()
        wait_until(lambda: find_lock_waits(looking).transactions == 1, what="the wait")
        wait_until(lambda: find_lock_waits(looking).oldest > 0.1, what="its length")
        waiting.join(DEADLINE_SECONDS)

    assert len(failures) == 1
    assert contention == [Contention.TIMEOUT]
    assert find_lock_waits(looking).transactions == 0


def test_waits_for_tables_of_the_application_are_not_counted(database_url: str, looking: psycopg.Connection) -> None:
    looking.execute("CREATE TABLE accounts (id int)")
    with psycopg.connect(database_url) as holder, psycopg.connect(database_url) as other:
        holder.execute("LOCK TABLE accounts")

        def wait() -> None:
            with pytest.raises(errors.QueryCanceled):
                other.execute("SELECT FROM accounts")

        waiting = threading.Thread(target=wait)
        waiting.start()
        wait_until(lambda: looking.execute("SELECT FROM pg_locks WHERE NOT granted").rowcount == 1, what="waiting")
        found = find_lock_waits(looking)
        looking.execute("SELECT pg_cancel_backend(%s)", [other.info.backend_pid])
        waiting.join(DEADLINE_SECONDS)

    assert (found.transactions, found.oldest) == (0, 0)


def test_each_kind_of_contention_is_reported(database_url: str) -> None:
    found = (errors.DeadlockDetected(), ClustersNotLocked(["ann"]), errors.SerializationFailure())

    assert contention_of(database_url, *found) == [Contention.DEADLOCK, Contention.CLUSTER, Contention.DEADLOCK]


def test_no_contention_is_reported_without_a_cause(database_url: str) -> None:
    assert contention_of(database_url) == []
