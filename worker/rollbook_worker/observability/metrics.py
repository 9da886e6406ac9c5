"""Counts what workers and maintenance do. The store and the periodic tasks say what happened; here it becomes numbers.

No metric names a user, and what a stranger wrote into a message is no label. Counting is per process: with `--pool
prefork` the children count, and nobody fetches their numbers, so use threads.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from time import perf_counter
from typing import Final

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram

from rollbook_shared.errors import Unavailable
from rollbook_shared.jobs.models import KINDS
from rollbook_worker.store import Outcome, ReceivedJob, Store
from rollbook_worker.store.retry import Contention

_BATCHES: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500)
_SECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class Counting:
    """What this process has done since it began."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._jobs = Counter("rollbook_jobs", "Jobs that were decided.", ["kind", "outcome"], registry=registry)
        self._dead = Counter("rollbook_jobs_dead", "Jobs that became dead letters.", ["code"], registry=registry)
        self._again = Counter(
            "rollbook_job_retries",
            "Times a job was put off because Postgres was not available.",
            registry=registry,
        )
        self._hindered = Counter(
            "rollbook_transaction_retries",
            "Times other transactions were in the way: a deadlock or a family not held yet, and it was run again; a"
            " lock that was not to be had in time (timeout).",
            ["by"],
            registry=registry,
        )
        self._batch = Histogram("rollbook_batch_jobs", "Jobs in one transaction.", buckets=_BATCHES, registry=registry)
        self._apply = Histogram(
            "rollbook_apply_seconds", "Time to apply the jobs of one transaction.", buckets=_SECONDS, registry=registry
        )
        self._duty = Histogram(
            "rollbook_maintenance_seconds",
            "Time of one turn of a task of maintenance.",
            ["task"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._maintenance_failed = Counter(
            "rollbook_maintenance_failures", "Turns of a task that came to nothing.", ["task"], registry=registry
        )

    def applied(self, outcomes: Sequence[Outcome], seconds: float) -> None:
        """Jobs were decided together."""
        self._batch.observe(len(outcomes))
        self._apply.observe(seconds)
        for outcome in outcomes:
            # the kind of what is no job is whatever somebody wrote there
            kind = outcome.kind if outcome.kind in KINDS else "unknown"
            self._jobs.labels(kind=kind, outcome=outcome.state.value).inc()
            if outcome.code is not None:
                self._dead.labels(code=outcome.code).inc()

    def put_off(self, jobs: int) -> None:
        """Jobs were not applied, and will be tried again."""
        self._again.inc(jobs)

    def hindered(self, by: Contention) -> None:
        """Another transaction was in the way."""
        self._hindered.labels(by=by.value).inc()

    def turned(self, task: str, seconds: float) -> None:
        """A task had its turn."""
        self._duty.labels(task=task).observe(seconds)

    def failed(self, task: str) -> None:
        """A task's turn came to nothing."""
        self._maintenance_failed.labels(task=task).inc()


class MeasuredStore:
    """A store whose doings are counted."""

    def __init__(self, store: Store, counting: Counting) -> None:
        self._store = store
        self._counting = counting

    def apply(self, arrivals: Sequence[ReceivedJob], *, now: int) -> list[Outcome]:
        """See `Store.apply`."""
        started = perf_counter()
        try:
            outcomes = self._store.apply(arrivals, now=now)
        except Unavailable:
            self._counting.put_off(len(arrivals))
            raise
        self._counting.applied(outcomes, perf_counter() - started)
        return outcomes


@functools.cache
def counting() -> Counting:
    """This process's numbers."""
    return Counting(REGISTRY)
