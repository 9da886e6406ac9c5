"""A job that always times out becomes a dead letter after a few attempts; an outage counts no attempt."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg import errors
from tests.support.builders import NOW, identify
from tests.support.slow_user import slow_user_sql
from tests.support.waits import DEADLINE_SECONDS
from tests.support.worker_processes import Workers

from rollbook import Rollbook
from rollbook_shared.database.timeouts import ResponseTimeout
from rollbook_shared.errors import Unavailable
from rollbook_shared.jobs.codec import encode
from rollbook_worker.store import PostgresStore, ReceivedJob
from rollbook_worker.store.retry import StatementTimeout, attempts_exhausted, unavailable

TRIES = 2


@pytest.fixture
def slow_url(new_database: Callable[[], str]) -> str:
    """A database in which the user `slow` cannot be written in time."""
    url = new_database()
    with psycopg.connect(url) as connection:
        connection.execute(slow_user_sql("slow").encode())
    return url


@pytest.mark.parametrize("batch", ["200", "1"])
def test_a_job_that_always_times_out_becomes_a_dead_letter(
    slow_url: str, broker_url: str, tmp_path: Path, batch: str
) -> None:
    workers = Workers(slow_url, broker_url, tmp_path)
    with Rollbook(database_url=slow_url, broker_url=broker_url) as rb:
        slow, *others = [rb.users.identify(user_id, {}) for user_id in ("slow", "ann", "bo")]
        try:
            workers.start(
                threads=2,
                ROLLBOOK_STATEMENT_TIMEOUT_SECONDS="0.3",
                ROLLBOOK_LOCK_TIMEOUT_SECONDS="0.2",
                ROLLBOOK_MAX_DELIVERIES=str(TRIES),
                ROLLBOOK_BATCH_SIZE=batch,
            )

            assert {job.wait(DEADLINE_SECONDS).state for job in others} == {"applied"}
            status = slow.wait(DEADLINE_SECONDS)
        finally:
            workers.stop()
        assert (status.state, status.code) == ("dead", "too_slow")
        dead_letter = rb.jobs.get_dead_letter(slow.id)
        assert (dead_letter.kind, dead_letter.reason) == (
            "identify",
            f"the database took too long over a statement, {TRIES} times by itself",
        )


@pytest.mark.parametrize(
    "failure",
    [
        psycopg.OperationalError(),
        ResponseTimeout(),
        errors.AdminShutdown(),
        errors.DiskFull(),
        errors.LockNotAvailable(),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_an_outage_is_not_a_statement_timeout(failure: Exception) -> None:
    assert not isinstance(unavailable(failure), StatementTimeout)


def test_a_statement_timeout_differs_from_an_outage(
    slow_url: str, store_with_short_timeouts: Callable[..., object]
) -> None:
    store = store_with_short_timeouts(slow_url)
    assert isinstance(store, PostgresStore)

    with pytest.raises(StatementTimeout):
        store.apply([ReceivedJob.of(encode(identify("slow", at=1)))], now=NOW)
    with pytest.raises(Unavailable) as away:
        PostgresStore("postgresql://unknown@127.0.0.1:1/none").apply(
            [ReceivedJob.of(encode(identify("ann", at=1)))], now=NOW
        )

    assert not isinstance(away.value, StatementTimeout)


@pytest.mark.parametrize(("times", "most", "hopeless"), [(1, 2, False), (2, 2, True), (3, 2, True), (99, 0, False)])
def test_attempts_are_exhausted_at_the_limit_and_never_with_0(times: int, most: int, hopeless: bool) -> None:
    assert attempts_exhausted(times, most) is hopeless
