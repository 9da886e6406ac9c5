"""What Rollbook does by itself, in a loop: `python -m rollbook_worker.maintenance`. Run as many as you like; they share
the work.

A plain process rather than a Celery queue with a beat: what is deferred or to be erased stands in Postgres, and must
happen even when Redis is lost.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from rollbook_shared.backoff import Backoff
from rollbook_shared.observability.daemon import run_daemon
from rollbook_shared.observability.health_file import HealthState
from rollbook_shared.settings import Settings
from rollbook_worker.maintenance.monitor import MaintenanceMonitor
from rollbook_worker.store import PostgresStore
from rollbook_worker.store.retry import RETRY

logger = logging.getLogger(__name__)

BATCH: Final = 100
FORGET: Final = 1_000
"""Outcomes forgotten in one transaction: about 10 ms."""
LATE_SECONDS: Final = 5.0
"""How late a deferred job may be when what was in its way is gone, such as an outage of Postgres."""
_SOON: Final = Backoff(first=0.5, longest=LATE_SECONDS)
RELEASE_SECONDS: Final = 300.0
"""For a hundred deferred jobs: a tenth of a second when nothing is in their way, 2 s each when all are held up."""


@dataclass(frozen=True, slots=True)
class PeriodicTask:
    """Something to do every so many seconds; `work` is given the time, and returns whether more of it is waiting."""

    name: str
    every: float
    work: Callable[[int], bool]
    longest: float | None = None
    """Seconds after which one turn of it hangs; None: it may take its time."""
    backoff: Backoff = RETRY
    """Before it is tried again when it failed."""


def periodic_tasks(store: PostgresStore) -> list[PeriodicTask]:
    """What there is to do."""

    def release_held_up(now: int) -> bool:
        store.dispatcher.release_blocked(now=now)
        return False  # what is in their way is given time to go

    def erase_left_behind(now: int) -> bool:
        store.cleanup.erase_unowned_history(now=now)
        return False  # it goes through all of them at once

    def compact(now: int) -> bool:
        store.cleanup.compact_identify_log(now=now)
        return False

    return [
        PeriodicTask(
            "release deferred jobs",
            1,
            lambda now: store.dispatcher.release_due(now=now, limit=BATCH) == BATCH,
            longest=RELEASE_SECONDS,
            backoff=_SOON,
        ),
        PeriodicTask("release jobs that were held up", LATE_SECONDS, release_held_up, backoff=_SOON),
        PeriodicTask(
            "erase deleted users", 60, lambda now: store.cleanup.erase_deleted_users(now=now, limit=BATCH) == BATCH
        ),
        PeriodicTask("erase history left behind", 3600, erase_left_behind),
        PeriodicTask("compact the identify log", 3600, compact),
        PeriodicTask("forget old outcomes", 600, lambda now: store.cleanup.prune_jobs(now=now, limit=FORGET) == FORGET),
        PeriodicTask(
            "forget old dead letters", 600, lambda now: store.cleanup.prune_dead_letters(now=now, limit=BATCH) == BATCH
        ),
    ]


def run(
    periodic_tasks: Sequence[PeriodicTask],
    stopped: threading.Event,
    clock: Callable[[], float] = time.time,
    watching: MaintenanceMonitor | None = None,
) -> None:
    """See to each task in its time, until `stopped`. Each has a thread, so that no deferred job is late because a
    long erasure is under way.
    """
    watching = watching or MaintenanceMonitor()
    threads = [
        threading.Thread(target=see_to, args=(task, stopped, clock, watching), name=task.name)
        for task in periodic_tasks
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def see_to(
    task: PeriodicTask, stopped: threading.Event, clock: Callable[[], float], watching: MaintenanceMonitor
) -> None:
    """See to one task, until `stopped`. Outlives a database that is away for a while, and its own mistakes."""
    failures = 0
    while not stopped.is_set():
        watching.begun(task.name, task.longest)
        try:
            more = task.work(int(clock() * 1_000_000))
        except Exception as error:
            watching.failed(task.name, error)
            stopped.wait(task.backoff.delay(failures))
            failures += 1
        else:
            watching.done(task.name)
            failures = 0
            if not more:
                stopped.wait(task.every)


class Maintenance:
    """The periodic tasks of one process, on its store."""

    def __init__(self, store: PostgresStore, monitor: MaintenanceMonitor) -> None:
        self._store = store
        self._monitor = monitor

    def run(self, stopped: threading.Event) -> None:
        """Run the tasks until `stopped`."""
        run(periodic_tasks(self._store), stopped, watching=self._monitor)

    def state(self) -> HealthState | None:
        """How maintenance is; None: it hangs."""
        return self._monitor.state()

    def close(self) -> None:
        """Close the store's connections."""
        self._store.close()


def main() -> int:
    """Run maintenance as the environment says until SIGTERM or Ctrl-C; what is under way is finished."""
    return run_daemon("maintenance", _maintenance)


def _maintenance(settings: Settings, with_metrics: bool) -> Maintenance:
    if not with_metrics:
        return Maintenance(PostgresStore.from_settings(settings), MaintenanceMonitor())
    from prometheus_client import REGISTRY

    from rollbook_worker.maintenance.gauges import Gauges
    from rollbook_worker.observability.metrics import worker_metrics

    REGISTRY.register(Gauges(settings))
    metrics = worker_metrics()
    store = PostgresStore.from_settings(settings, metrics.record_contention)
    return Maintenance(store, MaintenanceMonitor(metrics=metrics))


if __name__ == "__main__":
    sys.exit(main())
