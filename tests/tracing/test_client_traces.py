"""The spans of jobs that an application sends, and what their messages carry."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, cast

import pytest
import redis
from celery import signals
from opentelemetry import trace
from opentelemetry.trace import SpanContext, SpanKind, StatusCode, TraceFlags, TraceState
from tests.support.builders import identify
from tests.support.tracing.spans import RecordedSpans, parent_of_children

from rollbook import NotSent, Rollbook, Unavailable
from rollbook.publishing.direct import DirectPublisher
from rollbook_shared.jobs.celery_task import EncodedJob
from rollbook_shared.observability import tracing

SECRET = "ann@example.com"


def headers(client: redis.Redis, queue: str = "default") -> list[dict[str, Any]]:
    items = cast("list[bytes]", client.lrange(queue, 0, -1))
    return [json.loads(item)["headers"] for item in reversed(items)]


def test_a_sent_job_has_a_span_that_its_message_names(
    recorded: RecordedSpans, client: redis.Redis, rb: Rollbook
) -> None:
    with recorded.tracer.start_as_current_span("request") as request:
        job = rb.users.identify("ann", {"email": SECRET})

    (span,) = recorded.named("send rollbook.identify")
    (sent,) = headers(client)
    assert span.kind is SpanKind.PRODUCER
    assert span.parent == request.get_span_context()
    assert dict(span.attributes or {}) == {
        "messaging.system": "redis",
        "messaging.destination.name": "default",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.message.id": job.id,
    }
    assert sent["traceparent"] == parent_of_children(span)
    assert SECRET not in span.to_json()


def test_a_message_carries_tracestate_but_no_baggage(
    recorded: RecordedSpans, client: redis.Redis, rb: Rollbook
) -> None:
    from opentelemetry import baggage

    state = TraceState([("vendor", "a"), ("other", "b")])
    request = SpanContext(7, 8, is_remote=True, trace_flags=TraceFlags(1), trace_state=state)
    context = baggage.set_baggage("email", SECRET, trace.set_span_in_context(trace.NonRecordingSpan(request)))

    from opentelemetry.context import attach, detach

    token = attach(context)
    try:
        rb.users.delete("ann")
    finally:
        detach(token)

    (sent,) = headers(client)
    assert sent["tracestate"] == "vendor=a,other=b"
    assert sent["traceparent"].startswith(f"00-{7:032x}-")
    assert SECRET not in str(sent)


def test_a_job_that_is_not_sent_is_a_failed_span(recorded: RecordedSpans) -> None:
    with Rollbook(broker_url="redis://127.0.0.1:1/0") as rb, pytest.raises(NotSent):
        rb.users.delete("ann")

    (span,) = recorded.named("send rollbook.delete")
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == "ConnectionError"
    assert "127.0.0.1:1" in (span.status.description or "")


def test_each_job_sent_together_has_a_span_even_if_redis_is_down(
    recorded: RecordedSpans, client: redis.Redis, broker_url: str
) -> None:
    jobs = [EncodedJob.of(identify(f"u{number}", at=number)) for number in range(3)]
    DirectPublisher(broker_url).publish_many(jobs)
    with pytest.raises(Unavailable):
        DirectPublisher("redis://127.0.0.1:1/0").publish_many(jobs)

    codes = [span.status.status_code for span in recorded.named("send rollbook.identify")]
    assert codes == [StatusCode.UNSET] * 3 + [StatusCode.ERROR] * 3
    assert len({sent["traceparent"] for sent in headers(client)}) == 3


def test_buffered_users_have_one_span_linked_to_their_calls(
    recorded: RecordedSpans, client: redis.Redis, rb: Rollbook
) -> None:
    with rb.buffered() as gathering:
        for number in range(2):
            with recorded.tracer.start_as_current_span("request"):
                gathering.users.identify(f"u{number}")
                gathering.users.identify(f"v{number}")
        gathering.users.identify("of no trace")

    (span,) = recorded.named("send rollbook.bulk_identify")
    requests = [request.context for request in recorded.named("request")]
    assert [link.context for link in span.links] == requests
    assert span.parent is None
    assert headers(client, "bulk")[0]["traceparent"] == parent_of_children(span)


def test_a_tracer_of_celery_signals_makes_the_only_span(
    recorded: RecordedSpans, client: redis.Redis, rb: Rollbook
) -> None:
    def theirs(headers: dict[str, Any], **_: Any) -> None:
        headers["traceparent"] = "00-11111111111111111111111111111111-2222222222222222-01"

    signals.before_task_publish.connect(theirs)
    try:
        rb.users.delete("ann")
    finally:
        signals.before_task_publish.disconnect(theirs)

    assert recorded.all() == []
    assert headers(client)[0]["traceparent"].endswith("-2222222222222222-01")


@pytest.mark.parametrize(
    ("flags", "sampled"), [("00", False), ("01", True), ("02", False), ("03", True), ("", False), ("xy", False)]
)
def test_a_trace_is_recorded_if_its_flags_say_so(flags: str, sampled: bool) -> None:
    assert tracing.is_sampled(f"00-{1:032x}-{1:016x}-{flags}") is sampled


def test_a_message_names_no_trace_without_a_tracer(client: redis.Redis, rb: Rollbook) -> None:
    assert tracing.tracer() is None

    rb.users.delete("ann")

    assert not {"traceparent", "tracestate"} & headers(client)[0].keys()


def test_jobs_are_sent_without_opentelemetry(broker_url: str) -> None:
    code = (
        "import sys; sys.modules['opentelemetry'] = None; from rollbook import Rollbook;"
        "rb = Rollbook(broker_url=sys.argv[1]); rb.users.delete('ann');"
        "b = rb.buffered(); b.users.identify('bo'); b.close()"
    )

    subprocess.run([sys.executable, "-c", code, broker_url], check=True)


def test_an_sdk_set_up_later_is_used(broker_url: str) -> None:
    code = (
        "import sys; from rollbook import Rollbook; rb = Rollbook(broker_url=sys.argv[1]); rb.users.delete('ann');"
        "from opentelemetry import trace; rb.users.delete('ann');"
        "from opentelemetry.sdk.trace import TracerProvider;"
        "from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor;"
        "provider = TracerProvider(); provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()));"
        "trace.set_tracer_provider(provider); rb.users.delete('ann')"
    )
    done = subprocess.run([sys.executable, "-c", code, broker_url], capture_output=True, text=True, check=True)

    assert done.stdout.count('"name": "send rollbook.delete"') == 1
