"""The metrics of workers and maintenance. The store and the periodic tasks report what happened; here it is counted.

No metric names a user, and no label has text from a message. Each process counts for itself: with `--pool prefork` the
children count and serve no metrics, so use threads.
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

_BATCH_SIZES: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500)
_SECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class WorkerMetrics:
    """What this process has done since it started."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._jobs = Counter("rollbook_jobs", "Finished jobs.", ["kind", "outcome"], registry=registry)
        self._dead = Counter("rollbook_jobs_dead", "Jobs that became dead letters.", ["code"], registry=registry)
        self._retries = Counter(
            "rollbook_job_retries", "Jobs retried because Postgres was not available.", registry=registry
        )
        self._contention = Counter(
            "rollbook_transaction_retries",
            "Transactions retried because of other transactions: after a deadlock, because a user joined an identity"
            " cluster meanwhile, or because a lock was not free in time (timeout).",
            ["reason"],
            registry=registry,
        )
        self._batch_sizes = Histogram(
            "rollbook_batch_jobs", "Jobs per transaction.", buckets=_BATCH_SIZES, registry=registry
        )
        self._apply_seconds = Histogram(
            "rollbook_apply_seconds",
            "Time to apply the jobs of a transaction and to notify of them.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._maintenance_seconds = Histogram(
            "rollbook_maintenance_seconds",
            "Time of a run of a maintenance task.",
            ["task"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._maintenance_failures = Counter(
            "rollbook_maintenance_failures", "Failed maintenance runs.", ["task"], registry=registry
        )

    def record_transaction(self, outcomes: Sequence[Outcome], seconds: float) -> None:
        """A transaction has finished jobs."""
        self._batch_sizes.observe(len(outcomes))
        self._apply_seconds.observe(seconds)
        for outcome in outcomes:
            # any program may have written the kind of what is not a job
            kind = outcome.kind if outcome.kind in KINDS else "unknown"
            self._jobs.labels(kind=kind, outcome=outcome.state.value).inc()
            if outcome.code is not None:
                self._dead.labels(code=outcome.code).inc()

    def record_retries(self, jobs: int) -> None:
        """Jobs could not be applied, and will be retried."""
        self._retries.inc(jobs)

    def record_contention(self, reason: Contention) -> None:
        """Another transaction was in the way."""
        self._contention.labels(reason=reason.value).inc()

    def record_maintenance(self, task: str, seconds: float) -> None:
        """A run of a maintenance task has ended well."""
        self._maintenance_seconds.labels(task=task).observe(seconds)

    def record_maintenance_failure(self, task: str) -> None:
        """A run of a maintenance task has failed."""
        self._maintenance_failures.labels(task=task).inc()


class MeasuredStore:
    """A store whose transactions are measured."""

    def __init__(self, store: Store, metrics: WorkerMetrics) -> None:
        self._store = store
        self._metrics = metrics

    def apply(self, arrivals: Sequence[ReceivedJob], *, now: int | None = None) -> list[Outcome]:
        """See `Store.apply`."""
        started = perf_counter()
        try:
            outcomes = self._store.apply(arrivals, now=now)
        except Unavailable:
            self._metrics.record_retries(len(arrivals))
            raise
        self._metrics.record_transaction(outcomes, perf_counter() - started)
        return outcomes


@functools.cache
def worker_metrics() -> WorkerMetrics:
    """This process's metrics."""
    return WorkerMetrics(REGISTRY)
