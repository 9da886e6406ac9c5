"""The maintenance loop: each task in its time, whatever becomes of the others."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import psycopg
import pytest
from tests.support.builders import NOW, identify
from tests.support.stores import OnPostgres, arrive

from rollbook_shared.backoff import Backoff
from rollbook_shared.errors import Unavailable
from rollbook_shared.jobs.codec import encode
from rollbook_worker.maintenance.monitor import MaintenanceMonitor
from rollbook_worker.maintenance.periodic import PeriodicTask, periodic_tasks, run, run_task
from rollbook_worker.store import PostgresStore

TIMEOUT_SECONDS = 20.0


def running(*periodic_tasks: PeriodicTask) -> Callable[[], None]:
    """Run the periodic tasks in the background; returns what stops them."""
    stopped = threading.Event()
    thread = threading.Thread(target=run, args=(periodic_tasks, stopped))
    thread.start()

    def stop() -> None:
        stopped.set()
        thread.join(TIMEOUT_SECONDS)
        assert not thread.is_alive()

    return stop


def test_a_periodic_task_with_more_work_goes_on_at_once() -> None:
    finished = threading.Event()
    left = iter([True, True, False])

    def work() -> bool:
        more = next(left)
        if not more:
            finished.set()
        return more

    stop = running(PeriodicTask("hourly", 3600, work))

    assert finished.wait(TIMEOUT_SECONDS)
    stop()
    assert next(left, None) is None


def test_a_long_periodic_task_delays_no_other() -> None:
    begun, over, released = threading.Event(), threading.Event(), threading.Event()

    def long() -> bool:
        begun.set()
        over.wait(TIMEOUT_SECONDS)
        return False

    def short() -> bool:
        if begun.is_set():
            released.set()
        return False

    stop = running(PeriodicTask("long", 3600, long), PeriodicTask("short", 0.01, short))

    assert released.wait(TIMEOUT_SECONDS)
    assert not over.is_set()
    over.set()
    stop()


@pytest.mark.parametrize("error", [Unavailable("away"), ZeroDivisionError("about ann@example.com")])
def test_a_failed_periodic_task_is_tried_again_and_its_log_quotes_no_value(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    again = threading.Event()
    first = iter([error])

    def work() -> bool:
        for failure in first:
            raise failure
        again.set()
        return False

    with caplog.at_level(logging.WARNING):
        stop = running(PeriodicTask("frail", 3600, work, backoff=Backoff(first=0.001, longest=0.001)))
        assert again.wait(TIMEOUT_SECONDS)
        stop()

    (record,) = caplog.records
    assert "frail" in record.getMessage()
    assert "ann@" not in caplog.text


def test_due_jobs_wait_a_few_seconds_at_most_after_any_outage() -> None:
    waits: list[float] = []

    class Stopped(threading.Event):
        """Lets no time pass, and is set at the twentieth wait."""

        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout or 0.0)
            if len(waits) == 20:
                self.set()
            return self.is_set()

    away = PostgresStore("postgresql://unknown@127.0.0.1:1/none")
    release, *_ = periodic_tasks(away)

    run_task(release, Stopped(), MaintenanceMonitor())

    assert max(waits) <= 5
    assert waits[-1] > waits[0]


def test_the_periodic_tasks_leave_nothing_that_is_due(on_postgres: OnPostgres) -> None:
    on_postgres.reset()
    arrive(on_postgres, encode(identify("a", at=1)), "{", now=NOW - 100 * 86_400_000_000)
    later = identify("b", at=1, job="later").model_copy(update={"occurred_at": NOW})
    arrive(on_postgres, encode(later), now=NOW - 1_000_000_000)

    for task in periodic_tasks(on_postgres.store, now=NOW):
        while task.work():
            pass

    assert on_postgres.deferred() == []
    assert set(on_postgres.ledger()) == {"later"}
    assert on_postgres.dead() == []


def test_the_periodic_tasks_release_a_blocked_job_after_its_lock(on_postgres: OnPostgres) -> None:
    on_postgres.reset()
    arrive(on_postgres, encode(identify("a", at=1)), now=NOW)
    later = identify("a", at=2, job="later").model_copy(update={"occurred_at": NOW, "deferred": True})
    arrive(on_postgres, encode(later), now=NOW - 1_000_000_000)
    release, release_held_up, *_ = periodic_tasks(on_postgres.store, now=NOW)

    with psycopg.connect(on_postgres.url) as other:
        other.execute("SELECT 1 FROM rollbook.users FOR UPDATE")
        release.work()
    release_held_up.work()

    assert on_postgres.ledger()["later"][0] == "applied"
