"""Spans of what a worker does: one for a batch, in it one for each call of the store, and one for each job whose sender
is traced, in the sender's trace.

    send rollbook.identify          the application's, in the trace of its request
      rollbook.identify             from the worker's receiving the job until its commit; linked to the batch
    rollbook.batch                  a trace of its own, linked to where each of its jobs was sent
      rollbook.apply                the transaction

A batch has many callers, so it can be no child of theirs; a job's span says when it was received and how it ended, the
batch's what was done meanwhile. A job that waits because Postgres is away has its span when it is decided at last: it
tells how long that took. A job that runs by Celery's ordinary way has one span for each try, and the store's in it.

Where OpenTelemetry's instrumentation of Celery has begun a span for the task, that one is told, and none made beside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from celery.exceptions import Reject, Retry

from rollbook_shared.errors import Unavailable
from rollbook_shared.jobs.models import KINDS
from rollbook_shared.jobs.routing import TASK_PREFIX, queue_of
from rollbook_shared.observability import tracing
from rollbook_shared.outcomes import JobState
from rollbook_worker.celery_ext.batching import Sent
from rollbook_worker.celery_ext.request import DeadLetter
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


class Following:
    """Follows the jobs of a batch; one that nobody traces only hears how they ended."""

    def finished(self, outcomes: Sequence[Outcome], say: Callable[[Outcome], T]) -> list[T]:
        """The next of the jobs were decided: say so of each, within its span."""
        return [say(outcome) for outcome in outcomes]

    def failed(self, error: Unavailable) -> None:
        """The others were not."""


class _Caller(NamedTuple):
    """Who sent a job, and when it was received."""

    context: Context
    span: SpanContext
    received: int

    @classmethod
    def of(cls, sent: Sent | None) -> _Caller | None:
        if sent is None:
            return None
        from opentelemetry.trace import get_current_span

        context = tracing.parse_trace(sent.trace)
        span = get_current_span(context).get_span_context()
        return cls(context, span, sent.received) if span.is_valid else None


class _Followed(Following):
    def __init__(self, tracer: Tracer, span: Span, callers: Iterator[_Caller | None]) -> None:
        self._tracer = tracer
        self._span = span
        self._callers = callers

    def finished(self, outcomes: Sequence[Outcome], say: Callable[[Outcome], T]) -> list[T]:
        return [self._one(outcome, next(self._callers), say) for outcome in outcomes]

    def failed(self, error: Unavailable) -> None:
        tracing.mark_failed(self._span, error, str(error))

    def _one(self, outcome: Outcome, caller: _Caller | None, say: Callable[[Outcome], T]) -> T:
        if caller is None:
            return say(outcome)
        from opentelemetry.trace import Link, SpanKind, use_span

        span = self._tracer.start_span(
            TASK_PREFIX + _kind(outcome),
            context=caller.context,
            kind=SpanKind.CONSUMER,
            links=[Link(self._span.get_span_context())],
            start_time=caller.received,
        )
        with use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            _tell(span, outcome)
            return say(outcome)


_UNTRACED: Final = Following()


@contextmanager
def following(task: Any, sent: Sequence[Sent | None]) -> Iterator[Following]:
    """The span of a batch, whose jobs were sent in these traces; gives who is told how they end."""
    if (tracer := tracing.tracer()) is None:
        yield _UNTRACED
        return
    from opentelemetry.trace import Link, SpanKind, get_current_span

    callers = list(map(_Caller.of, sent))
    spans = [caller.span for caller in callers if caller is not None]
    said = {**_PROCESSING, "messaging.batch.message_count": len(sent), "rollbook.batch_id": task.request.id}
    if (theirs := get_current_span()).is_recording():
        theirs.set_attributes(said)
        for span in spans:
            theirs.add_link(span)
        yield _Followed(tracer, theirs, iter(callers))
        return
    with _span(tracer, task.name, kind=SpanKind.CONSUMER, links=list(map(Link, spans)), attributes=said) as own:
        task.request.rollbook_span = own.get_span_context()  # for what is logged of the task when it has ended
        yield _Followed(tracer, own, iter(callers))


@contextmanager
def following_one(task: Any) -> Iterator[None]:
    """The span of a job that runs by Celery's ordinary way; `finished` and `put_off` say how it ended."""
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


def finished(outcome: Outcome) -> None:
    """The job in hand was decided."""
    if tracing.tracer() is not None:
        from opentelemetry.trace import get_current_span

        _tell(get_current_span(), outcome)


def put_off(error: Unavailable) -> None:
    """The job in hand was not."""
    if tracing.tracer() is not None:
        from opentelemetry.trace import get_current_span

        tracing.mark_failed(get_current_span(), error, str(error))


def hindered(by: Contention) -> None:
    """Another transaction was in the way of this one."""
    if tracing.tracer() is not None:
        from opentelemetry.trace import get_current_span

        get_current_span().add_event("hindered", {"rollbook.by": by.value})


class TracedStore:
    """A store whose transactions are spans."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def apply(self, arrivals: Sequence[ReceivedJob], *, now: int) -> list[Outcome]:
        """See `Store.apply`."""
        if (tracer := tracing.tracer()) is None:
            return self._store.apply(arrivals, now=now)
        from opentelemetry.trace import SpanKind

        said = {"db.system.name": "postgresql", "db.operation.name": "apply", "rollbook.jobs": len(arrivals)}
        with _span(tracer, "rollbook.apply", kind=SpanKind.CLIENT, attributes=said):
            return self._store.apply(arrivals, now=now)


@contextmanager
def _span(tracer: Tracer, name: str, **options: Any) -> Iterator[Span]:
    """A span that is the current one; its failure is told without what the exception says, which may quote a job."""
    with tracer.start_as_current_span(name, record_exception=False, set_status_on_exception=False, **options) as span:
        try:
            yield span
        except Unavailable as error:
            tracing.mark_failed(span, error, str(error))
            raise
        except (DeadLetter, Retry, Reject):
            raise  # was told already, with the reason
        except Exception as error:
            tracing.mark_failed(span, error)
            raise


def _tell(span: Span, outcome: Outcome) -> None:
    said = {**_PROCESSING, "messaging.message.id": outcome.job_id, "rollbook.outcome": outcome.state.value}
    if outcome.kind in KINDS:
        said["messaging.destination.name"] = queue_of(outcome.kind)
    span.set_attributes(said)
    if outcome.state is JobState.DEAD:
        tracing.mark_failed(span, outcome.code or "dead")


def _kind(outcome: Outcome) -> str:
    """What a stranger wrote is no name of a span."""
    return outcome.kind if outcome.kind in KINDS else "unknown"
