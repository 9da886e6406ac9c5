"""What Rollbook does by itself, in a loop: `python -m rollbook_worker.maintenance`. Run as many as you like; they share
the work.

A plain process rather than a Celery queue with a beat: what is deferred or to be erased stands in Postgres, and must
happen even when Redis is lost.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rollbook_shared.backoff import Backoff
from rollbook_shared.errors import RollbookError
from rollbook_shared.observability.heartbeat import Heartbeat
from rollbook_shared.observability.logs import begin_logging
from rollbook_shared.observability.metrics_server import serve_metrics
from rollbook_shared.settings import Settings
from rollbook_worker.maintenance.monitor import MaintenanceMonitor
from rollbook_worker.store import PostgresStore
from rollbook_worker.store.retry import RETRY

if TYPE_CHECKING:
    from rollbook_worker.observability.metrics import Counting

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
        store.release_held_up(now=now)
        return False  # what is in their way is given time to go

    def erase_left_behind(now: int) -> bool:
        store.erase_left_behind(now=now)
        return False  # it goes through all of them at once

    def compact(now: int) -> bool:
        store.compact(now=now)
        return False

    return [
        PeriodicTask(
            "release deferred jobs",
            1,
            lambda now: store.release_due(now=now, limit=BATCH) == BATCH,
            longest=RELEASE_SECONDS,
            backoff=_SOON,
        ),
        PeriodicTask("release jobs that were held up", LATE_SECONDS, release_held_up, backoff=_SOON),
        PeriodicTask("erase deleted users", 60, lambda now: store.erase_settled(now=now, limit=BATCH) == BATCH),
        PeriodicTask("erase history left behind", 3600, erase_left_behind),
        PeriodicTask("compact sightings", 3600, compact),
        PeriodicTask("forget old outcomes", 600, lambda now: store.prune_jobs(now=now, limit=FORGET) == FORGET),
        PeriodicTask(
            "forget old dead letters", 600, lambda now: store.prune_dead_letters(now=now, limit=BATCH) == BATCH
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


def _counting(settings: Settings) -> Counting | None:
    """Serve metrics if they are wanted; the extra that makes them is not imported otherwise."""
    if not serve_metrics(settings):
        return None
    from prometheus_client import REGISTRY

    from rollbook_worker.maintenance.gauges import Gauges
    from rollbook_worker.observability.metrics import counting

    REGISTRY.register(Gauges(settings))
    return counting()


def main() -> int:
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    try:
        settings = Settings.from_env()
        begin_logging(settings)
        counting = _counting(settings)
        store = (
            PostgresStore.from_settings(settings, counting.hindered)
            if counting
            else PostgresStore.from_settings(settings)
        )
        watching = MaintenanceMonitor(counting=counting)
    except RollbookError as error:
        print(f"rollbook: {error}", file=sys.stderr)
        return 1
    health = Heartbeat(settings.health_file, watching.state)
    health.start()
    logger.info("maintenance: started")
    run(periodic_tasks(store), stopped, watching=watching)
    logger.info("maintenance: stopped")
    health.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
