"""The periodic tasks, run in a loop: `python -m rollbook_worker.maintenance`. Several such processes share the work.

This is a plain process and not a Celery queue with a beat: deferred jobs and pending erasures are in Postgres, and must
be done even if Redis is lost.
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
PRUNE_BATCH: Final = 1_000
"""Finished jobs removed in one transaction: about 10 ms."""
MAX_DELAY_SECONDS: Final = 5.0
"""How late a deferred job may be after an outage of Postgres, or after another transaction was in its way."""
_SHORT: Final = Backoff(first=0.5, longest=MAX_DELAY_SECONDS)
MAX_RELEASE_SECONDS: Final = 300.0
"""For a hundred deferred jobs: they take a tenth of a second, or 2 s each if all are blocked."""


@dataclass(frozen=True, slots=True)
class PeriodicTask:
    """Work to do every so many seconds. `work` takes the time, and returns whether there is more to do at once."""

    name: str
    every: float
    """Seconds."""
    work: Callable[[int], bool]
    max_seconds: float | None = None
    """Seconds after which a run counts as hanging; None: it may take any time."""
    backoff: Backoff = RETRY
    """Before the next run after a failed one."""


def periodic_tasks(store: PostgresStore) -> list[PeriodicTask]:
    """All periodic tasks."""

    def release_blocked(now: int) -> bool:
        store.dispatcher.release_blocked(now=now)
        return False  # the other transactions need time to end

    def erase_unowned_history(now: int) -> bool:
        store.cleanup.erase_unowned_history(now=now)
        return False  # one run does all

    def compact(now: int) -> bool:
        store.cleanup.compact_identify_log(now=now)
        return False

    return [
        PeriodicTask(
            "release deferred jobs",
            1,
            lambda now: store.dispatcher.release_due(now=now, limit=BATCH) == BATCH,
            max_seconds=MAX_RELEASE_SECONDS,
            backoff=_SHORT,
        ),
        PeriodicTask("release blocked jobs", MAX_DELAY_SECONDS, release_blocked, backoff=_SHORT),
        PeriodicTask(
            "erase deleted users", 60, lambda now: store.cleanup.erase_deleted_users(now=now, limit=BATCH) == BATCH
        ),
        PeriodicTask("erase unowned history", 3600, erase_unowned_history),
        PeriodicTask("compact the identify log", 3600, compact),
        PeriodicTask(
            "prune finished jobs", 600, lambda now: store.cleanup.prune_jobs(now=now, limit=PRUNE_BATCH) == PRUNE_BATCH
        ),
        PeriodicTask(
            "prune dead letters", 600, lambda now: store.cleanup.prune_dead_letters(now=now, limit=BATCH) == BATCH
        ),
    ]


def run(
    periodic_tasks: Sequence[PeriodicTask],
    stopped: threading.Event,
    clock: Callable[[], float] = time.time,
    monitor: MaintenanceMonitor | None = None,
) -> None:
    """Run the tasks until `stopped`. Each has a thread, so that no deferred job is late because of a long erasure."""
    monitor = monitor or MaintenanceMonitor()
    threads = [
        threading.Thread(target=run_task, args=(task, stopped, clock, monitor), name=task.name)
        for task in periodic_tasks
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def run_task(
    task: PeriodicTask, stopped: threading.Event, clock: Callable[[], float], monitor: MaintenanceMonitor
) -> None:
    """Run one task until `stopped`. An error ends one run and not the loop."""
    failures = 0
    while not stopped.is_set():
        monitor.started(task.name, task.max_seconds)
        try:
            more = task.work(int(clock() * 1_000_000))
        except Exception as error:
            monitor.failed(task.name, error)
            stopped.wait(task.backoff.delay(failures))
            failures += 1
        else:
            monitor.succeeded(task.name)
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
        run(periodic_tasks(self._store), stopped, monitor=self._monitor)

    def state(self) -> HealthState | None:
        """The state of maintenance; None if it hangs."""
        return self._monitor.state()

    def close(self) -> None:
        """Close the store's connections."""
        self._store.close()


def main() -> int:
    """Run maintenance with the settings of the environment until SIGTERM or Ctrl-C; running tasks end their run."""
    return run_daemon("maintenance", _maintenance)


def _maintenance(settings: Settings, with_metrics: bool) -> Maintenance:
    if not with_metrics:
        return Maintenance(PostgresStore.from_settings(settings), MaintenanceMonitor())
    from prometheus_client import REGISTRY

    from rollbook_worker.maintenance.gauges import ServerGauges
    from rollbook_worker.observability.metrics import worker_metrics

    REGISTRY.register(ServerGauges(settings))
    metrics = worker_metrics()
    store = PostgresStore.from_settings(settings, metrics.record_contention)
    return Maintenance(store, MaintenanceMonitor(metrics=metrics))


if __name__ == "__main__":
    sys.exit(main())
