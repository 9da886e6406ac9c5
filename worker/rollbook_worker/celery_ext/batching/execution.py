"""A batch in the pool: traced by Celery as one task, so that whatever watches tasks sees it as one.

`task_prerun` and `task_postrun` (and with them OpenTelemetry's and Sentry's integrations) are sent once a batch, with
the batch's own task as the sender and `Jobs`, whose length is the batch's size, as its one argument.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from celery import current_app
from celery.app.trace import trace_task
from celery.utils.log import get_logger

from rollbook_worker.celery_ext.batching.trace_context import Sent
from rollbook_worker.celery_ext.request import DeadLetter

logger = get_logger(__name__)


@dataclass(frozen=True, slots=True, repr=False)
class Jobs:
    """The messages of a batch. Shows how many there are, and nothing of what they hold."""

    messages: list[object]
    sent: list[Sent | None] = field(default_factory=list)
    """Of each, in the same order; or of none."""

    def __len__(self) -> int:
        return len(self.messages)

    def __iter__(self) -> Iterator[object]:
        return iter(self.messages)

    def __repr__(self) -> str:
        return f"<{len(self)} jobs>"


@dataclass(frozen=True, slots=True, repr=False)
class Ended:
    """What became of a batch: how the first of its jobs ended, in order, and if the others were not applied for want of
    a store, why that is.
    """

    said: list[str | DeadLetter]
    unavailable: str | None = None
    too_long: bool = False
    """It was there, and took too long."""

    def __repr__(self) -> str:
        return f"<{len(self.said)} jobs decided>" if self.unavailable is None else f"<{self.unavailable}>"


def execute(task_name: str, batch_id: str, jobs: Jobs, hostname: str) -> Ended | None:
    """Run the batch's task; None if it failed. Never raises: in a pool of threads nobody would be told."""
    try:
        app = current_app._get_current_object()
        traced = trace_task(
            app.tasks[task_name],
            batch_id,
            (jobs,),
            {},
            _request(task_name, batch_id, jobs, hostname),
            app=app,
            hostname=hostname,
        )
        return traced.retval if isinstance(traced.retval, Ended) else None
    except Exception:
        logger.exception("a batch of %d jobs failed", len(jobs))
        return None


def _request(task_name: str, batch_id: str, jobs: Jobs, hostname: str) -> dict[str, Any]:
    return {
        "id": batch_id,
        "root_id": batch_id,
        "task": task_name,
        "hostname": hostname,
        "argsrepr": f"({jobs!r},)",
        "kwargsrepr": "{}",
        "delivery_info": {},
    }
