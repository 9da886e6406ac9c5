"""Every wait for Postgres has a bound: for a lock, for a statement, for a server that does not answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta

import psycopg
import pytest
from tests.support.builders import NOW, identify
from tests.support.stores import OnPostgres
from tests.support.timeouts.frozen_servers import SHORT, frozen

from rollbook import Rollbook, Unavailable
from rollbook.database import Database
from rollbook_ops.devstack import Servers
from rollbook_ops.relay.outbox_table import OutboxTable
from rollbook_shared.database.schema import DEFAULT_SCHEMA
from rollbook_shared.database.session import make_session
from rollbook_shared.database.timeouts import ResponseTimeout, timeout_connection
from rollbook_shared.job_states import JobState
from rollbook_shared.jobs.codec import encode
from rollbook_worker.store import PostgresStore, ReceivedJob

LONG = 20.0
"""Seconds: more than every bound here on a busy machine, and less than the 30 s of a bound that was not set."""
Locked = Callable[[str], AbstractContextManager[None]]
MakeStore = Callable[[str], PostgresStore]


@contextmanager
def in_time(least: float = 0.0) -> Iterator[None]:
    begin = time.monotonic()
    yield
    assert least <= time.monotonic() - begin < LONG


def test_a_job_that_meets_a_lock_is_retried_after_the_lock(
    database_url: str, locked: Locked, store_with_short_timeouts: MakeStore
) -> None:
    store = store_with_short_timeouts(database_url)
    store.apply([ReceivedJob.of(encode(identify("ann", at=1, job="first")))], now=NOW)
    job = [ReceivedJob.of(encode(identify("ann", at=2, job="second", plan="pro")))]

    with (
        locked("SELECT 1 FROM rollbook.users WHERE id = 'ann' FOR UPDATE"),
        in_time(SHORT.total_seconds()),
        pytest.raises(Unavailable, match="holds a lock for too long"),
    ):
        store.apply(job, now=NOW)

    assert store.apply(job, now=NOW)[0].state is JobState.APPLIED


def test_maintenance_has_the_same_lock_timeout(
    database_url: str, locked: Locked, store_with_short_timeouts: MakeStore
) -> None:
    store = store_with_short_timeouts(database_url)

    with locked("LOCK TABLE rollbook.deferred_jobs"), in_time(), pytest.raises(Unavailable, match="lock"):
        store.dispatcher.release_due(now=NOW)


def test_a_slow_statement_is_ended_by_the_server(database_url: str, locked: Locked) -> None:
    store = PostgresStore(database_url, lock_timeout=SHORT * 100, statement_timeout=SHORT)

    with (
        locked("LOCK TABLE rollbook.users"),
        in_time(SHORT.total_seconds()),
        pytest.raises(Unavailable, match="too long over a statement"),
    ):
        store.apply([ReceivedJob.of(encode(identify("bo", at=1)))], now=NOW)


def test_a_slow_read_is_ended_by_the_server(database_url: str, locked: Locked) -> None:
    with (
        Rollbook(database_url=database_url, read_timeout=SHORT) as rb,
        locked("LOCK TABLE rollbook.users"),
        in_time(SHORT.total_seconds()),
        pytest.raises(Unavailable),
    ):
        rb.users.get("ann")


def test_a_worker_survives_a_frozen_server(
    own_servers: Servers, own_database_url: str, store_with_short_timeouts: MakeStore
) -> None:
    store = store_with_short_timeouts(own_database_url)
    job = [ReceivedJob.of(encode(identify("cy", at=1)))]
    store.apply([ReceivedJob.of(encode(identify("warm", at=1)))], now=NOW)

    with frozen(own_servers.postgres.pid), in_time(), pytest.raises(Unavailable, match="did not answer in time"):
        store.apply(job, now=NOW)

    assert store.apply(job, now=NOW)[0].state in (JobState.APPLIED, JobState.DUPLICATE)
    assert "cy" in OnPostgres(own_database_url).world()["users"]


def test_a_reader_survives_a_frozen_server(own_servers: Servers, own_database_url: str) -> None:
    url = f"{own_database_url}?connect_timeout=2"  # the pool tries once more
    with Rollbook(database_url=url, read_timeout=SHORT) as rb:
        assert rb.jobs.get("warm").state == "queued"

        with frozen(own_servers.postgres.pid), in_time(), pytest.raises(Unavailable, match="did not answer"):
            rb.jobs.get("any")

        assert rb.jobs.get("any").state == "queued"


def test_connecting_to_a_frozen_server_times_out(own_servers: Servers, own_database_url: str) -> None:
    url = f"{own_database_url}?connect_timeout=2"  # the least that libpq knows
    tries: list[Callable[[], object]] = [
        lambda: PostgresStore(url).cleanup.prune_jobs(now=NOW),
        lambda: Rollbook(database_url=url).jobs.get("any"),
        lambda: OutboxTable(url).count(),
    ]

    with frozen(own_servers.postgres.pid), ThreadPoolExecutor() as threads, in_time(1.0):
        for attempt in [threads.submit(pytest.raises, Unavailable, each) for each in tries]:
            attempt.result()


def test_a_response_timeout_closes_the_connection(database_url: str) -> None:
    kind = timeout_connection(SHORT)
    with kind.connect(database_url, autocommit=True) as connection, in_time(), pytest.raises(ResponseTimeout):
        connection.execute("SET statement_timeout = 0; SELECT pg_sleep(60)")

    assert connection.closed


def test_the_response_timeout_counts_each_statement_alone(database_url: str) -> None:
    with timeout_connection(timedelta(seconds=2)).connect(database_url) as connection:
        for _ in range(5):
            assert connection.execute("SELECT pg_sleep(0.5)").fetchone() is not None


def test_timeouts_of_the_url_are_kept(database_url: str) -> None:
    url = f"{database_url}?connect_timeout=9&keepalives_idle=77&options=-c%20statement_timeout%3D1234"

    options = make_session(url, application_name="tests", schema=DEFAULT_SCHEMA, statement_timeout=SHORT).parameters

    assert (options["connect_timeout"], options["keepalives_idle"]) == ("9", "77")
    with psycopg.connect(**options) as connection:
        assert connection.execute("SHOW statement_timeout").fetchone() == ("1234ms",)


def test_a_pool_replaces_a_connection_that_timed_out(own_servers: Servers, own_database_url: str) -> None:
    database = Database(f"{own_database_url}?connect_timeout=2", SHORT)
    with frozen(own_servers.postgres.pid), pytest.raises(Unavailable), database.connect():
        pass

    with database.connect() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
