"""The periodic tasks, run in a loop: `python -m rollbook_worker.maintenance`. Several such processes share the work.

This is a plain process and not a Celery queue with a beat: deferred jobs and pending erasures are in Postgres, and must
be done even if Redis is lost.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from rollbook_shared.backoff import Backoff
from rollbook_shared.figures import EVERY_SECONDS
from rollbook_shared.observability.daemon import run_daemon
from rollbook_shared.observability.health_file import HealthState
from rollbook_shared.settings import Settings
from rollbook_worker.erasure_key import check_erasure_key
from rollbook_worker.maintenance.measurement import measure
from rollbook_worker.maintenance.monitor import MaintenanceMonitor
from rollbook_worker.maintenance.queue_owner import check_queue_owner
from rollbook_worker.process_store import process_store
from rollbook_worker.store import PostgresStore
from rollbook_worker.store.retry import RETRY

logger = logging.getLogger(__name__)

BATCH: Final = 100
PRUNE_BATCH: Final = 1_000
"""Finished jobs removed in one transaction: about 10 ms."""
FORGET_BATCH: Final = 200
"""Unknown recipients of triggers looked at in one transaction; each has up to 100 messages."""
MAX_DELAY_SECONDS: Final = 5.0
"""How late a deferred job may be after an outage of Postgres, or after another transaction was in its way."""
MONTHS_SECONDS: Final = 3600.0
OWNER_CHECK_SECONDS: Final = 30.0
SIGNAL_SECONDS: Final = 0.5
"""How soon a signal is handled that the system gave to another thread than the main one, which handles all."""
_SHORT: Final = Backoff(first=0.5, longest=MAX_DELAY_SECONDS)
MAX_RELEASE_SECONDS: Final = 300.0
"""For a hundred deferred jobs: they take a tenth of a second, or 2 s each if all are blocked."""

MAX_MEASUREMENT_SECONDS: Final = 120.0
"""A measurement takes a few milliseconds; each of its statements has a timeout."""


@dataclass(frozen=True, slots=True)
class PeriodicTask:
    """Work to do every so many seconds. `work` returns whether there is more to do at once."""

    name: str
    every: float
    """Seconds."""
    work: Callable[[], bool]
    max_seconds: float | None = None
    """Seconds after which a run counts as hanging; None: it may take any time."""
    backoff: Backoff = RETRY
    """Before the next run after a failed one."""


def owner_check(settings: Settings) -> PeriodicTask:
    """The task that fails while the queues belong to another database. The others need Postgres alone, and go on."""

    def check() -> bool:
        check_queue_owner(settings)
        return False

    return PeriodicTask("compare the queues' owner", OWNER_CHECK_SECONDS, check, backoff=_SHORT)


def measurement(store: PostgresStore, settings: Settings) -> PeriodicTask:
    """The task that measures both servers. It looks more often than it measures, so that none is left out."""

    def work() -> bool:
        measure(store, settings.broker_url)
        return False

    return PeriodicTask("measure", EVERY_SECONDS / 4, work, max_seconds=MAX_MEASUREMENT_SECONDS, backoff=_SHORT)


def periodic_tasks(store: PostgresStore, *, now: int | None = None) -> list[PeriodicTask]:
    """All periodic tasks on the database; with `now`, in microseconds since 1970, as if Postgres' clock stood still
    there.
    """

    def release_blocked() -> bool:
        store.dispatcher.release_blocked(now=now)
        return False  # the other transactions need time to end

    def erase_unowned_history() -> bool:
        store.cleanup.erase_unowned_history(now=now)
        return False  # one run does all

    def make_months() -> bool:
        store.history_months.make(now=now)
        return False

    def drop_months() -> bool:
        store.history_months.drop(now=now)
        return False

    def compact() -> bool:
        store.cleanup.compact_identify_log(now=now)
        return False

    return [
        PeriodicTask(
            "release deferred jobs",
            1,
            lambda: store.dispatcher.release_due(now=now, limit=BATCH) == BATCH,
            max_seconds=MAX_RELEASE_SECONDS,
            backoff=_SHORT,
        ),
        PeriodicTask("release blocked jobs", MAX_DELAY_SECONDS, release_blocked, backoff=_SHORT),
        PeriodicTask(
            "erase deleted users", 60, lambda: store.cleanup.erase_deleted_users(now=now, limit=BATCH) == BATCH
        ),
        PeriodicTask(
            "forget unknown recipients",
            60,
            lambda: store.cleanup.forget_unknown_recipients(now=now, limit=FORGET_BATCH) == FORGET_BATCH,
        ),
        PeriodicTask("erase unowned history", 3600, erase_unowned_history),
        PeriodicTask("compact the identify log", 3600, compact),
        PeriodicTask("make months of history", MONTHS_SECONDS, make_months),
        PeriodicTask("drop months of history", MONTHS_SECONDS, drop_months),
        PeriodicTask(
            "prune finished jobs", 600, lambda: store.cleanup.prune_jobs(now=now, limit=PRUNE_BATCH) == PRUNE_BATCH
        ),
        PeriodicTask(
            "prune dead letters", 600, lambda: store.cleanup.prune_dead_letters(now=now, limit=BATCH) == BATCH
        ),
        PeriodicTask(
            "prune the console's tables",
            600,
            lambda: store.cleanup.prune_console(now=now, limit=PRUNE_BATCH) == PRUNE_BATCH,
        ),
    ]


def run(
    periodic_tasks: Sequence[PeriodicTask],
    stopped: threading.Event,
    monitor: MaintenanceMonitor | None = None,
) -> None:
    """Run the tasks until `stopped`. Each has a thread, so that no deferred job is late because of a long erasure."""
    monitor = monitor or MaintenanceMonitor()
    threads = [
        threading.Thread(target=run_task, args=(task, stopped, monitor), name=task.name) for task in periodic_tasks
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(SIGNAL_SECONDS)


def run_task(task: PeriodicTask, stopped: threading.Event, monitor: MaintenanceMonitor) -> None:
    """Run one task until `stopped`. An error ends one run and not the loop."""
    failures = 0
    while not stopped.is_set():
        monitor.started(task.name, task.max_seconds)
        try:
            more = task.work()
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

    def __init__(self, store: PostgresStore, monitor: MaintenanceMonitor, settings: Settings) -> None:
        self._store = store
        self._monitor = monitor
        self._settings = settings

    def run(self, stopped: threading.Event) -> None:
        """Run the tasks until `stopped`."""
        tasks = [
            *periodic_tasks(self._store),
            owner_check(self._settings),
            measurement(self._store, self._settings),
        ]
        run(tasks, stopped, monitor=self._monitor)

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
    check_erasure_key(settings)
    if not with_metrics:
        return Maintenance(process_store(settings), MaintenanceMonitor(), settings)
    from prometheus_client import REGISTRY

    from rollbook_worker.maintenance.gauges import ServerGauges
    from rollbook_worker.observability.metrics import worker_metrics

    REGISTRY.register(ServerGauges(settings))
    metrics = worker_metrics()
    return Maintenance(
        process_store(settings, metrics.record_contention), MaintenanceMonitor(metrics=metrics), settings
    )


if __name__ == "__main__":
    sys.exit(main())
