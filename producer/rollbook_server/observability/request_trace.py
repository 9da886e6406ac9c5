"""The span of a request, which continues the caller's trace and whose trace goes into the jobs of the request.

Where no SDK is set up there is no span, and the caller's trace goes into the jobs as it came.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from rollbook.publishing import AsyncPublisher, async_publish_encoded
from rollbook_shared.jobs import Job
from rollbook_shared.jobs.celery_task import EncodedJob
from rollbook_shared.observability import tracing

if TYPE_CHECKING:
    from opentelemetry.trace import Span

_PARENT: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_MAX_STATE: Final = 512
"""Characters of `tracestate` that W3C asks everyone to pass on. A longer one is left out."""

_trace: ContextVar[str | None] = ContextVar("rollbook_request_trace", default=None)


class RequestSpan:
    """The span of one request; does nothing where there is none."""

    def __init__(self, span: Span | None = None) -> None:
        self._span = span

    def record_answer(self, status: int, error: BaseException | None = None) -> None:
        """Note the status; one of 500 or more is an error. Of the error only its class is noted."""
        if self._span is None:
            return
        self._span.set_attribute("http.response.status_code", status)
        if status >= 500:
            tracing.mark_failed(self._span, str(status) if error is None else error, f"answered with {status}")


@contextmanager
def request_span(method: str, path: str, headers: Mapping[str, str]) -> Iterator[RequestSpan]:
    """The span of a request for the length of a `with`. Jobs that are sent within it belong to its trace.

    path: with placeholders.
    """
    caller = _caller(headers)
    if (tracer := tracing.tracer()) is None:
        token = _trace.set(caller)
        try:
            yield RequestSpan()
        finally:
            _trace.reset(token)
        return
    from opentelemetry.trace import SpanKind

    # a span that is active already is that of an instrumentation, which has read the headers
    context = tracing.parse_trace(caller) if caller is not None and tracing.current_span() is None else None
    attributes = {"http.request.method": method, "http.route": path}
    with tracing.active_span(
        tracer, f"{method} {path}", context=context, kind=SpanKind.SERVER, attributes=attributes
    ) as span:
        yield RequestSpan(span)


class TracePublisher:
    """Sends jobs with the trace of the request that made them, where no span of the request does that."""

    def __init__(self, publisher: AsyncPublisher) -> None:
        self._publisher = publisher

    async def publish(self, job: Job) -> None:
        """See `AsyncPublisher`."""
        if (trace := _trace.get()) is None:
            await self._publisher.publish(job)
        else:
            await async_publish_encoded(self._publisher, replace(EncodedJob.of(job), trace=trace))

    async def aclose(self) -> None:
        """See `AsyncPublisher`."""
        await self._publisher.aclose()


def _caller(headers: Mapping[str, Any]) -> str | None:
    """The trace that a request names, if it is one."""
    parent, state = headers.get(tracing.PARENT, ""), headers.get(tracing.STATE, "")
    if not _PARENT.fullmatch(parent):
        return None
    carrier = {tracing.PARENT: parent, tracing.STATE: state if len(state) <= _MAX_STATE and state.isascii() else ""}
    return tracing.extract_trace(carrier)
