"""A job as the message that every Celery worker takes.

Celery's signals `before_task_publish` and `after_task_publish` are sent where the application has imported Celery, as
for its own tasks: tracers and error trackers listen to them.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rollbook.publishing.celery_envelope import (
    TaskArguments,
    encode_task,
    task_arguments,
    task_headers,
    task_properties,
)
from rollbook.publishing.spans import attach_trace, start_send_span
from rollbook_shared.jobs.celery_task import TASK_PREFIX, EncodedJob, queue_of
from rollbook_shared.observability import tracing

if TYPE_CHECKING:
    from opentelemetry.trace import Span


@dataclass(frozen=True, kw_only=True, slots=True)
class CeleryMessage:
    """The text to push, its queue, and what Celery's signals say of it."""

    queue: str
    text: bytes
    task: str
    headers: dict[str, Any]
    arguments: TaskArguments
    span: Span | None = None
    """Of sending it; it ends when Redis has the message."""

    @classmethod
    def of(cls, job: EncodedJob) -> CeleryMessage:
        """The message of the job. Receivers of `before_task_publish` may add headers, as tracers do."""
        task, queue = TASK_PREFIX + job.kind, queue_of(job.kind)
        headers = task_headers(id=job.id, task=task, summary=job.summary)
        properties = task_properties(id=job.id, queue=queue)
        arguments = task_arguments(job.body)
        if (before := _signal("before_task_publish")) is not None:
            with attach_trace(job.trace):
                before.send(
                    sender=task,
                    body=arguments,
                    exchange="",
                    routing_key=queue,
                    declare=[],
                    headers=headers,
                    properties=properties,
                    retry_policy={},
                )
        span = None
        if tracing.PARENT not in headers:  # else a tracer has put its own span there
            if tracer := tracing.tracer():
                span = start_send_span(tracer, job, headers)
            elif job.trace:
                tracing.inject_trace(headers, job.trace)
        return cls(
            queue=queue,
            text=encode_task(headers, properties, arguments),
            task=task,
            headers=headers,
            arguments=arguments,
            span=span,
        )

    def record_sent(self) -> None:
        """End the span, and send Celery's signal."""
        if self.span is not None:
            self.span.end()
        if (after := _signal("after_task_publish")) is not None:
            after.send(sender=self.task, body=self.arguments, headers=self.headers, exchange="", routing_key=self.queue)

    def record_failure(self, error: BaseException, reason: str) -> None:
        """End the span as failed."""
        if self.span is not None:
            tracing.mark_failed(self.span, error, reason)
            self.span.end()


def _signal(name: str) -> Any:
    """Celery's signal, where it has receivers. To connect one, something must have imported Celery."""
    signal = getattr(sys.modules.get("celery.signals"), name, None)
    return signal if signal is not None and signal.receivers else None
