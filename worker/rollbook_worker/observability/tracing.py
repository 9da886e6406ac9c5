"""The spans of a worker: one for a batch, in it one for each call of the store, and one for each job whose publisher is
traced, in the publisher's trace.

    send rollbook.identify          the application's, in the trace of its request
      rollbook.identify             from the time when the worker received the job to its commit; linked to the batch
    rollbook.batch                  a trace of its own, linked to where each of its jobs was published
      rollbook.apply                the transaction

A batch has jobs of many publishers, so its span cannot be a child of theirs. A job's span has the time when the job was
received and its outcome; the batch's span shows what the worker did meanwhile. A job that waits because Postgres is
away gets its span when it is finished, so the span shows how long that took. A job that runs individually has one span
for each try, with the store's span in it.

If OpenTelemetry's instrumentation of Celery has started a span for the task, that span gets the attributes, and the
worker starts none of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self, TypeVar

from celery.exceptions import Reject, Retry

from rollbook_shared.errors import Unavailable
from rollbook_shared.job_states import JobState
from rollbook_shared.jobs.celery_task import TASK_PREFIX, queue_of
from rollbook_shared.jobs.models import KINDS
from rollbook_shared.observability import tracing
from rollbook_worker.celery_ext.batching import TraceContext
from rollbook_worker.celery_ext.job_failures import JobFailed
from rollbook_worker.store import Outcome, ReceivedJob, Store
from rollbook_worker.store.retry import Contention

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, SpanContext, Tracer

T = TypeVar("T")

_PROCESSING: Final[dict[str, Any]] = {
    "messaging.system": tracing.SYSTEM,
    "messaging.operation.name": "process",
    "messaging.operation.type": "process",
}


class BatchTrace:
    """Follows the jobs of a batch. This one records nothing; see `RecordedBatchTrace`."""

    def finish(self, outcomes: Sequence[Outcome], report: Callable[[Outcome], T]) -> list[T]:
        """The next jobs of the batch are finished: report each, within its span."""
        return [report(outcome) for outcome in outcomes]

    def fail(self, error: Unavailable) -> None:
        """The other jobs could not be applied."""


class _Publisher(NamedTuple):
    """Where a job was published, and when it was received."""

    context: Context
    span: SpanContext
    received: int

    @classmethod
    def of(cls, trace: TraceContext | None) -> Self | None:
        if trace is None:
            return None
        from opentelemetry.trace import get_current_span

        context = tracing.parse_trace(trace.trace)
        span = get_current_span(context).get_span_context()
        return cls(context, span, trace.received) if span.is_valid else None


class RecordedBatchTrace(BatchTrace):
    """Records a span for each job whose publisher is traced."""

    def __init__(self, tracer: Tracer, span: Span, publishers: Iterator[_Publisher | None]) -> None:
        self._tracer = tracer
        self._span = span
        self._publishers = publishers

    def finish(self, outcomes: Sequence[Outcome], report: Callable[[Outcome], T]) -> list[T]:
        return [self._finish_one(outcome, next(self._publishers), report) for outcome in outcomes]

    def fail(self, error: Unavailable) -> None:
        tracing.mark_failed(self._span, error, str(error))

    def _finish_one(self, outcome: Outcome, publisher: _Publisher | None, report: Callable[[Outcome], T]) -> T:
        if publisher is None:
            return report(outcome)
        from opentelemetry.trace import Link, SpanKind, use_span

        span = self._tracer.start_span(
            TASK_PREFIX + _kind(outcome),
            context=publisher.context,
            kind=SpanKind.CONSUMER,
            links=[Link(self._span.get_span_context())],
            start_time=publisher.received,
        )
        with use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            _set_outcome(span, outcome)
            return report(outcome)


_UNRECORDED: Final = BatchTrace()


@contextmanager
def trace_batch(task: Any, traces: Sequence[TraceContext | None]) -> Iterator[BatchTrace]:
    """The span of a batch, whose jobs were published in these traces."""
    if (tracer := tracing.tracer()) is None:
        yield _UNRECORDED
        return
    from opentelemetry.trace import Link, SpanKind, get_current_span

    publishers = list(map(_Publisher.of, traces))
    spans = [publisher.span for publisher in publishers if publisher is not None]
    attributes = {
        **_PROCESSING,
        "messaging.batch.message_count": len(traces),
        "rollbook.batch_id": task.request.id,
    }
    if (theirs := get_current_span()).is_recording():
        theirs.set_attributes(attributes)
        for span in spans:
            theirs.add_link(span)
        yield RecordedBatchTrace(tracer, theirs, iter(publishers))
        return
    with _span(tracer, task.name, kind=SpanKind.CONSUMER, links=list(map(Link, spans)), attributes=attributes) as own:
        task.request.rollbook_span = own.get_span_context()  # for what is logged about the task after its end
        yield RecordedBatchTrace(tracer, own, iter(publishers))


@contextmanager
def trace_job(task: Any) -> Iterator[None]:
    """The span of a job that runs individually; `record_outcome` and `record_failure` complete it."""
    if (tracer := tracing.tracer()) is None:
        yield
        return
    from opentelemetry.trace import SpanKind, get_current_span

    if get_current_span().is_recording():
        yield
        return
    trace = tracing.extract_trace(task.request.headers or {})
    context = tracing.parse_trace(trace) if trace else None
    with _span(tracer, task.name, kind=SpanKind.CONSUMER, context=context) as span:
        task.request.rollbook_span = span.get_span_context()
        yield


def record_outcome(outcome: Outcome) -> None:
    """The current job is finished."""
    if tracing.tracer() is not None:
        from opentelemetry.trace import get_current_span

        _set_outcome(get_current_span(), outcome)


def record_failure(error: Unavailable) -> None:
    """The current job could not be applied."""
    if tracing.tracer() is not None:
        from opentelemetry.trace import get_current_span

        tracing.mark_failed(get_current_span(), error, str(error))


def record_contention(reason: Contention) -> None:
    """Another transaction was in the way of the current one."""
    if tracing.tracer() is not None:
        from opentelemetry.trace import get_current_span

        get_current_span().add_event("contention", {"rollbook.reason": reason.value})


class TracedStore:
    """A store with a span for each transaction."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def apply(self, arrivals: Sequence[ReceivedJob], *, now: int | None = None) -> list[Outcome]:
        """See `Store.apply`."""
        if (tracer := tracing.tracer()) is None:
            return self._store.apply(arrivals, now=now)
        from opentelemetry.trace import SpanKind

        attributes = {"db.system.name": "postgresql", "db.operation.name": "apply", "rollbook.jobs": len(arrivals)}
        with _span(tracer, "rollbook.apply", kind=SpanKind.CLIENT, attributes=attributes):
            return self._store.apply(arrivals, now=now)


@contextmanager
def _span(tracer: Tracer, name: str, **options: Any) -> Iterator[Span]:
    """Start a span and make it the current one. Its failure is recorded without the exception's text, which may quote a
    job.
    """
    with tracing.active_span(tracer, name, **options) as span:
        try:
            yield span
        except Unavailable as error:
            tracing.mark_failed(span, error, str(error))
            raise
        except (JobFailed, Retry, Reject):
            raise  # it is recorded already, with the reason
        except Exception as error:
            tracing.mark_failed(span, error)
            raise


def _set_outcome(span: Span, outcome: Outcome) -> None:
    attributes = {**_PROCESSING, "messaging.message.id": outcome.job_id, "rollbook.outcome": outcome.state.value}
    if outcome.kind in KINDS:
        attributes["messaging.destination.name"] = queue_of(outcome.kind)
    span.set_attributes(attributes)
    if outcome.state is JobState.DEAD:
        tracing.mark_failed(span, outcome.code or "dead")


def _kind(outcome: Outcome) -> str:
    """For the name of a span: any program may have written the kind of what is not a job."""
    return outcome.kind if outcome.kind in KINDS else "unknown"
