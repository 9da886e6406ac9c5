"""A batch in the pool. Celery traces it as one task, so that monitoring sees it as one.

`task_prerun` and `task_postrun` (and with them OpenTelemetry's and Sentry's integrations) are sent once per batch. The
sender is the batch's own task, and its one argument is the `Batch`, whose length is the number of jobs.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from celery import current_app
from celery.app.trace import trace_task
from celery.utils.log import get_logger

from rollbook_shared.observability.tracing import PARENT, extract_trace, is_sampled
from rollbook_worker.celery_ext.job_failures import JobFailed

logger = get_logger(__name__)


class TraceContext(NamedTuple):
    """The trace in which a job was published, and when it was received, in nanoseconds since 1970."""

    trace: str
    received: int

    @classmethod
    def of(cls, headers: Mapping[str, Any]) -> Self | None:
        """Read it from the headers of a message that is received now; None if the trace is not recorded."""
        if headers.get(PARENT) is None or (trace := extract_trace(headers)) is None or not is_sampled(trace):
            return None
        return cls(trace, time.time_ns())


@dataclass(frozen=True, slots=True, repr=False)
class Batch:
    """The messages of a batch. Its `repr` has their number, and nothing of their content."""

    messages: list[object]
    traces: list[TraceContext | None] = field(default_factory=list)
    """One for each message, in the same order; or none at all."""

    def __len__(self) -> int:
        return len(self.messages)

    def __iter__(self) -> Iterator[object]:
        return iter(self.messages)

    def __repr__(self) -> str:
        return f"<{len(self)} jobs>"


@dataclass(frozen=True, slots=True, repr=False)
class BatchResult:
    """What became of a batch: the outcomes of its first jobs, in order, and why the others were not applied, if the
    store was not available.
    """

    outcomes: list[str | JobFailed]
    unavailable: str | None = None
    timed_out: bool = False
    """The store was available, and took too long."""

    def __repr__(self) -> str:
        return f"<{len(self.outcomes)} jobs finished>" if self.unavailable is None else f"<{self.unavailable}>"


def execute(task_name: str, batch_id: str, batch: Batch, hostname: str) -> BatchResult | None:
    """Run the batch's task; None if it failed. Never raises: a pool of threads would not report the exception."""
    try:
        app = current_app._get_current_object()
        traced = trace_task(
            app.tasks[task_name],
            batch_id,
            (batch,),
            {},
            _request(task_name, batch_id, batch, hostname),
            app=app,
            hostname=hostname,
        )
        return traced.retval if isinstance(traced.retval, BatchResult) else None
    except Exception:
        logger.exception("a batch of %d jobs failed", len(batch))
        return None


def _request(task_name: str, batch_id: str, batch: Batch, hostname: str) -> dict[str, Any]:
    return {
        "id": batch_id,
        "root_id": batch_id,
        "task": task_name,
        "hostname": hostname,
        "argsrepr": f"({batch!r},)",
        "kwargsrepr": "{}",
        "delivery_info": {},
        "headers": {},  # otherwise Celery looks for them among all of its names
    }
