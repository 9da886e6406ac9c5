"""Tracing through OpenTelemetry's API only: the SDK of the process decides which spans there are and where they go.

A process whose SDK is set up has imported the API. Where the API is not imported, this module does not import it
either: without tracing the cost is one look into a dict, and OpenTelemetry need not be installed.

The trace of a job travels as text: W3C's `traceparent` and, after a space, its `tracestate` if there is one. Baggage
does not travel, because applications keep personal data in it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, SpanContext, Tracer
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

PARENT: Final = "traceparent"
STATE: Final = "tracestate"
SYSTEM: Final = "redis"

_SAMPLED: Final = 1
_PARENT: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_TRACE_ID: Final = slice(3, 35)
"""Its place in a `traceparent`."""
_NO_TRACE_ID: Final = "0" * 32
_STATE: Final = re.compile(r"[\x20-\x7e]{1,512}")

_tracer: Tracer | None = None


def tracer() -> Tracer | None:
    """The tracer that makes spans; None where no SDK is set up."""
    if _tracer is not None:
        return _tracer
    api = sys.modules.get("opentelemetry.trace")
    # Read the API's own variable where it has one: its function also looks into the environment, which would be most
    # of what sending costs more without tracing.
    if api is None or getattr(api, "_TRACER_PROVIDER", api) is None:
        return None
    return _tracer_of(api)


def active_span(tracer: Tracer, name: str, **options: Any) -> AbstractContextManager[Span]:
    """A span that is the current one in the block. An exception is not recorded by itself: its text may quote a job or
    a message. See `mark_failed`.
    """
    return tracer.start_as_current_span(name, record_exception=False, set_status_on_exception=False, **options)


def serialize_span(span: Span) -> str | None:
    """The trace at this span, as it travels; None if the span belongs to no trace."""
    from opentelemetry.trace import set_span_in_context

    headers: dict[str, str] = {}
    _propagator().inject(headers, set_span_in_context(span))
    return extract_trace(headers)


def extract_trace(headers: Mapping[str, Any]) -> str | None:
    """The trace that a message's headers name."""
    parent, state = headers.get(PARENT), headers.get(STATE)
    if not isinstance(parent, str):
        return None
    return f"{parent} {state}" if isinstance(state, str) and state else parent


def inject_trace(headers: dict[str, Any], trace: str) -> None:
    """Write the trace into a message's headers."""
    parent, _, state = trace.partition(" ")
    headers[PARENT] = parent
    if state:
        headers[STATE] = state
    else:
        headers.pop(STATE, None)


def storable_trace(trace: str | None) -> str | None:
    """The trace if it is one that is recorded, to be kept; without a `tracestate` that is too long or no ASCII. Any
    program may have written the text.
    """
    parent, _, state = (trace or "").partition(" ")
    if not _PARENT.fullmatch(parent) or not is_sampled(parent):
        return None
    return f"{parent} {state}" if _STATE.fullmatch(state) else parent


def trace_id_of(trace: str) -> str | None:
    """The id of a trace that `storable_trace` has checked, 32 hexadecimal digits; None if that is no id."""
    trace_id = trace[_TRACE_ID]
    return None if trace_id == _NO_TRACE_ID else trace_id


def parse_trace(trace: str) -> Context:
    """The context in which spans continue the trace; if the text is no trace, they begin a new one."""
    carrier: dict[str, str] = {}
    inject_trace(carrier, trace)
    return _propagator().extract(carrier)


def is_sampled(parent: str) -> bool:
    """Whether the trace is recorded."""
    try:
        return bool(int(parent[53:55], 16) & _SAMPLED)
    except ValueError:
        return False


def current_span() -> SpanContext | None:
    """The span that is active here; None if there is none."""
    if tracer() is None:
        return None
    from opentelemetry.trace import get_current_span

    context = get_current_span().get_span_context()
    return context if context.is_valid else None


def current_trace() -> str | None:
    """The trace at the span that is active here, as it travels; None if there is none."""
    if tracer() is None:
        return None
    from opentelemetry.trace import get_current_span

    return serialize_span(get_current_span())


def current_sampled_span() -> SpanContext | None:
    """The span that is active here, for a link to it; None if it is not recorded."""
    if tracer() is None:  # as `current_span` asks too; a call less for each buffered user
        return None
    return span if (span := current_span()) and span.trace_flags.sampled else None


def mark_failed(span: Span, error: BaseException | str, reason: str | None = None) -> None:
    """Mark the span as failed, with the kind of failure and a reason that holds nothing of a job.

    This does not call `record_exception`: the text of an exception may quote the job.
    """
    from opentelemetry.trace import StatusCode

    kind = str(error) if isinstance(error, str) else type(error).__name__
    span.set_attribute("error.type", kind)
    span.set_status(StatusCode.ERROR, reason or kind)


def _tracer_of(api: Any) -> Tracer | None:
    """Our tracer once an SDK is set up; None while another thread is still importing the API."""
    global _tracer
    if hasattr(api, "get_tracer_provider") and not isinstance(api.get_tracer_provider(), api.ProxyTracerProvider):
        _tracer = api.get_tracer("rollbook")
    return _tracer


def _propagator() -> TraceContextTextMapPropagator:
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator()
