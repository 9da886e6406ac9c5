"""The trace of a request to the HTTP server goes into the job, with an SDK in the server and without."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
import redis
from opentelemetry.trace import SpanKind, StatusCode
from tests.support.server.in_process import request
from tests.support.tracing.spans import RecordedSpans, parent_of_children

from rollbook_shared.observability import tracing
from rollbook_shared.settings import Settings

CALLER = f"00-{7:032x}-{8:016x}-01"


def sent(broker_url: str, client: redis.Redis, **headers: str) -> dict[str, Any]:
    """The headers of the message that a request with these headers made."""
    headers = {"prefer": "respond-async", **headers}
    answer = request(Settings(broker_url=broker_url), "PUT", "/v1/users/ann", {"name": "Ann"}, headers)
    assert answer.status_code == 202
    (message,) = cast("list[bytes]", client.lrange("default", 0, -1))
    found: dict[str, Any] = json.loads(message)["headers"]
    return found


def test_the_span_of_a_request_continues_the_callers_trace_and_its_job_continues_the_span(
    recorded: RecordedSpans, client: redis.Redis, broker_url: str
) -> None:
    headers = sent(broker_url, client, traceparent=CALLER, tracestate="vendor=a", baggage="email=ann")

    (span,) = recorded.named("PUT /v1/users/{user_id}")
    (sending,) = recorded.named("send rollbook.identify")
    assert span.kind is SpanKind.SERVER
    assert span.parent is not None
    assert (span.parent.trace_id, span.parent.span_id, span.parent.is_remote) == (7, 8, True)
    assert sending.parent == span.context
    assert headers["traceparent"] == parent_of_children(sending)
    assert headers["tracestate"] == "vendor=a"
    assert "email" not in str(headers)


def test_within_the_span_of_an_instrumentation_the_request_has_a_child_of_it(
    recorded: RecordedSpans, client: redis.Redis, broker_url: str
) -> None:
    with recorded.tracer.start_as_current_span("of an instrumentation") as outer:
        sent(broker_url, client, traceparent=CALLER)

    (span,) = recorded.named("PUT /v1/users/{user_id}")
    assert span.parent == outer.get_span_context()


def test_a_request_that_fails_is_an_error_without_its_text(recorded: RecordedSpans, client: redis.Redis) -> None:
    away = Settings(broker_url="redis://127.0.0.1:1/0")
    assert request(away, "PUT", "/v1/users/ann", {}, {}).status_code == 503

    (span,) = recorded.named("PUT /v1/users/{user_id}")
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == "NotSent"
    assert (span.status.description, span.events) == ("answered with 503", ())


def test_without_an_sdk_the_callers_trace_is_the_jobs(client: redis.Redis, broker_url: str) -> None:
    headers = sent(broker_url, client, traceparent=CALLER, tracestate="vendor=a")

    assert (headers["traceparent"], headers["tracestate"]) == (CALLER, "vendor=a")


@pytest.mark.parametrize(
    ("parent", "state", "kept"),
    [
        (CALLER, "v=" + "a" * 600, {tracing.PARENT: CALLER}),
        (CALLER, "", {tracing.PARENT: CALLER}),
        (CALLER[:-1], "vendor=a", {}),
        ("x" * 5_000, "", {}),
    ],
    ids=["a long state", "no state", "cut off", "long"],
)
def test_what_is_no_trace_is_not_passed_on(
    client: redis.Redis, broker_url: str, parent: str, state: str, kept: dict[str, str]
) -> None:
    headers = sent(broker_url, client, traceparent=parent, tracestate=state)

    assert {name: headers[name] for name in (tracing.PARENT, tracing.STATE) if name in headers} == kept


def test_a_request_without_a_trace_begins_none(client: redis.Redis, broker_url: str) -> None:
    assert tracing.PARENT not in sent(broker_url, client)
