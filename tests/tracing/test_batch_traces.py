"""The spans of a batch and of its jobs, without a broker."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest
from celery import signals
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, SpanKind, StatusCode, use_span
from tests.support.builders import identify
from tests.support.memory_store import MemoryStore
from tests.support.tracing.batches import SENT, job, run
from tests.support.tracing.spans import RecordedSpans

from rollbook_shared.errors import Unavailable
from rollbook_shared.jobs.codec import encode
from rollbook_worker import tasks
from rollbook_worker.app import app
from rollbook_worker.celery_ext.batching import BATCH_TASK
from rollbook_worker.observability.tracing import TracedStore, record_contention
from rollbook_worker.store import Outcome, ReceivedJob
from rollbook_worker.store.retry import Contention

SECRET = "ann@example.com"


class WatchedStore(MemoryStore):
    """Fails on demand, as often as it is asked to; and has contention."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[Exception] = []
        self.has_contention = False
        self.traces: list[str | None] = []

    def apply(self, arrivals: Sequence[ReceivedJob], *, now: int | None = None) -> list[Outcome]:
        self.traces += [arrival.trace for arrival in arrivals]
        if self.has_contention:
            record_contention(Contention.DEADLOCK)
        if self.errors:
            raise self.errors.pop(0)
        return super().apply(arrivals, now=now or time.time_ns() // 1_000)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> WatchedStore:
    store = WatchedStore()
    traced = TracedStore(store)
    monkeypatch.setattr(tasks, "store", lambda: traced)
    monkeypatch.setattr(tasks, "is_traced", lambda: True)
    return store


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def context(span: ReadableSpan) -> SpanContext:
    assert isinstance(span.context, SpanContext)
    return span.context


@pytest.mark.usefixtures("store")
def test_the_span_of_a_batch_links_to_the_senders_and_contains_the_transaction(recorded: RecordedSpans) -> None:
    run(job(1), job(2), job(3), sent=[SENT[0], None, SENT[2]])

    (batch,), (transaction,) = recorded.named("rollbook.batch"), recorded.named("rollbook.apply")
    assert batch.kind is SpanKind.CONSUMER
    assert batch.parent is None
    assert [link.context.span_id for link in batch.links] == [1, 3]
    assert attributes(batch)["messaging.batch.message_count"] == 3
    assert attributes(batch)["rollbook.batch_id"] == "batch-1"
    assert transaction.kind is SpanKind.CLIENT
    assert transaction.parent == context(batch)
    assert attributes(transaction)["db.system.name"] == "postgresql"
    assert attributes(transaction)["rollbook.jobs"] == 3


@pytest.mark.usefixtures("store")
def test_a_traced_job_has_a_span_from_receipt_to_commit(
    recorded: RecordedSpans,
) -> None:
    received = time.time_ns()

    run(job(1), job(2), sent=[SENT[0], None], received=received)

    (span,), (batch,) = recorded.named("rollbook.identify"), recorded.named("rollbook.batch")
    (transaction,) = recorded.named("rollbook.apply")
    assert span.kind is SpanKind.CONSUMER
    assert (context(span).trace_id, span.parent and span.parent.span_id) == (1, 1)
    assert [link.context for link in span.links] == [context(batch)]
    assert attributes(span) == {
        "messaging.system": "redis",
        "messaging.destination.name": "default",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.message.id": "job-1",
        "rollbook.outcome": "applied",
    }
    assert span.start_time == received
    assert span.end_time is not None
    assert transaction.end_time is not None
    assert span.end_time >= transaction.end_time


@pytest.mark.usefixtures("store")
def test_a_span_has_the_outcome_and_a_dead_job_is_an_error(recorded: RecordedSpans) -> None:
    later = encode(identify("user-1", at=100_000, job="job-2").model_copy(update={"deferred": True}))

    run(job(1), job(1), later, SECRET, job(1, plan=SECRET), sent=SENT)

    spans = sorted((span for span in recorded.all() if context(span).trace_id < 10), key=lambda s: context(s).trace_id)
    ends = [attributes(span)["rollbook.outcome"] for span in spans]
    assert ends == ["applied", "duplicate", "deferred", "dead", "dead"]
    assert [span.status.status_code for span in spans] == [StatusCode.UNSET] * 3 + [StatusCode.ERROR] * 2
    assert [attributes(span)["error.type"] for span in spans[3:]] == ["malformed", "id_reused"]
    assert [span.name for span in spans] == ["rollbook.identify"] * 3 + ["rollbook.unknown", "rollbook.identify"]
    assert SECRET not in "".join(span.to_json() for span in recorded.all())


def test_an_outage_fails_the_batch_and_jobs_have_a_span_once_finished(
    recorded: RecordedSpans, store: WatchedStore
) -> None:
    store.errors = [Unavailable("the database is not available")]

    run(job(1), sent=SENT[:1], received=7)
    assert recorded.named("rollbook.identify") == []
    run(job(1), sent=SENT[:1], received=7)

    failed, good = recorded.named("rollbook.batch")
    assert (failed.status.status_code, failed.status.description) == (
        StatusCode.ERROR,
        "the database is not available",
    )
    assert attributes(failed)["error.type"] == "Unavailable"
    assert recorded.named("rollbook.apply")[0].status.status_code is StatusCode.ERROR
    assert good.status.status_code is StatusCode.UNSET
    (span,) = recorded.named("rollbook.identify")
    assert span.start_time == 7


def test_an_unexpected_error_is_recorded_without_its_message(recorded: RecordedSpans, store: WatchedStore) -> None:
    store.errors = [RuntimeError(SECRET)]

    assert run(job(1), sent=SENT[:1]) is None

    (batch,) = recorded.named("rollbook.batch")
    assert attributes(batch)["error.type"] == "RuntimeError"
    assert SECRET not in "".join(span.to_json() for span in recorded.all())


def test_contention_is_an_event_of_the_span(recorded: RecordedSpans, store: WatchedStore) -> None:
    store.has_contention = True

    run(job(1))

    (transaction,) = recorded.named("rollbook.apply")
    assert [(event.name, dict(event.attributes or {})) for event in transaction.events] == [
        ("contention", {"rollbook.reason": "deadlock"})
    ]


@pytest.mark.usefixtures("store")
def test_the_span_of_another_tracer_is_used_and_not_doubled(
    recorded: RecordedSpans,
) -> None:
    """OpenTelemetry's instrumentation of Celery begins it before the task runs, and ends it afterwards."""
    theirs = recorded.tracer.start_span("run/rollbook.batch")
    entered = use_span(theirs, end_on_exit=True)

    def begin(**_: Any) -> None:
        entered.__enter__()

    def end(**_: Any) -> None:
        entered.__exit__(None, None, None)

    signals.task_prerun.connect(begin)
    signals.task_postrun.connect(end)
    app.tasks[BATCH_TASK].__trace__ = None  # it looks for who watches when it is built
    try:
        run(job(1), sent=SENT[:1])
    finally:
        signals.task_prerun.disconnect(begin)
        signals.task_postrun.disconnect(end)
        app.tasks[BATCH_TASK].__trace__ = None

    assert recorded.named("rollbook.batch") == []
    (batch,) = recorded.named("run/rollbook.batch")
    assert [link.context.span_id for link in batch.links] == [1]
    assert attributes(batch)["messaging.batch.message_count"] == 1
    (transaction,) = recorded.named("rollbook.apply")
    assert transaction.parent == context(batch)


@pytest.mark.usefixtures("store")
def test_a_traced_job_is_applied_without_a_tracer() -> None:
    ended = run(job(1), sent=SENT[:1])

    assert ended is not None
    assert ended.outcomes == ["applied"]


@pytest.mark.parametrize("parent", [None, 7, "", "nonsense", SENT[0][:-2] + "00", f"ff-{SENT[0][3:]}"])
@pytest.mark.usefixtures("store")
def test_a_job_without_a_recorded_trace_has_no_span(recorded: RecordedSpans, parent: Any) -> None:
    ended = run(job(1), sent=[parent])

    assert ended is not None
    assert ended.outcomes == ["applied"]
    assert len(recorded.named("rollbook.batch")) == 1
    assert recorded.named("rollbook.identify") == []


def test_the_store_gets_where_each_job_was_sent(store: WatchedStore) -> None:
    run(job(1), job(2), sent=[SENT[0], None])
    run(job(3))
    app.tasks["rollbook.identify"].apply((job(4),), headers={"traceparent": SENT[1]})

    assert store.traces == [SENT[0], None, None, SENT[1]]
