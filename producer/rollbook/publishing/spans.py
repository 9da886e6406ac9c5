"""A span for each job that is published, by OpenTelemetry's conventions for messaging. The message names it in its
headers, so that the worker's span is its child.

OpenTelemetry's instrumentation of Celery makes a span for each message itself, through Celery's signals; then there is
none of these. A job of the outbox has one when it is written (`create`) and one each time that the relay sends it
(`send`), all in the trace of the request that made the job.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rollbook_shared.jobs.celery_task import TASK_PREFIX, EncodedJob, queue_of
from rollbook_shared.observability import tracing

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer


def start_send_span(tracer: Tracer, job: EncodedJob, headers: dict[str, Any]) -> Span:
    """Start the span of sending this job, and name it in the headers. The caller ends it."""
    from opentelemetry.trace import Link, SpanKind

    span = tracer.start_span(
        f"send {TASK_PREFIX}{job.kind}",
        context=tracing.parse_trace(job.trace) if job.trace else None,
        kind=SpanKind.PRODUCER,
        links=[Link(caller) for caller in job.callers],
        attributes=_attributes("send", job.id, job.kind),
    )
    if trace := tracing.serialize_span(span):
        tracing.inject_trace(headers, trace)
    return span


@contextmanager
def create_span(job_id: str, kind: str) -> Iterator[str | None]:
    """The span of writing a job that is sent later; yields the trace to store with it."""
    if (tracer := tracing.tracer()) is None:
        yield None
        return
    from opentelemetry.trace import SpanKind

    span = tracer.start_span(
        f"create {TASK_PREFIX}{kind}", kind=SpanKind.PRODUCER, attributes=_attributes("create", job_id, kind)
    )
    try:
        yield tracing.serialize_span(span)
    except BaseException as error:
        tracing.mark_failed(span, error)
        raise
    finally:
        span.end()


@contextmanager
def attach_trace(trace: str | None) -> Iterator[None]:
    """Make the trace of the job the current one, for tracers that start spans on Celery's signals."""
    if trace is None or tracing.tracer() is None:
        yield
        return
    from opentelemetry import context

    token = context.attach(tracing.parse_trace(trace))
    try:
        yield
    finally:
        context.detach(token)


def _attributes(operation: str, job_id: str, kind: str) -> dict[str, str]:
    return {
        "messaging.system": tracing.SYSTEM,
        "messaging.destination.name": queue_of(kind),
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.message.id": job_id,
    }
