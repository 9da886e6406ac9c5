"""The seam to OpenTelemetry, of which only the API is used: the SDK that the process brings decides which spans there
are, and where they go.

An SDK that was set up has imported the API. So where nobody has, this does not either: what is not traced pays for a
look into a dict, and needs nothing installed.

Where in which trace a job was told is kept as text: `traceparent` as W3C has it and, behind a space, its `tracestate`
if there is one. Baggage does not travel: applications keep personal data in it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, SpanContext, Tracer
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

PARENT: Final = "traceparent"
STATE: Final = "tracestate"
SYSTEM: Final = "redis"

_SAMPLED: Final = 1

_tracer: Tracer | None = None


def tracer() -> Tracer | None:
    """What makes spans; None where nothing would come of them."""
    if _tracer is not None:
        return _tracer
    api = sys.modules.get("opentelemetry.trace")
    # Its own variable, where it has one: asked by its function it also looks into the environment, which would be most
    # of what sending costs more where nobody traces.
    if api is None or getattr(api, "_TRACER_PROVIDER", api) is None:
        return None
    return _found(api)


def trace_of(span: Span) -> str | None:
    """The trace at this span, as it travels; None where there is none."""
    from opentelemetry.trace import set_span_in_context

    said: dict[str, str] = {}
    _propagator().inject(said, set_span_in_context(span))
    return trace_in(said)


def trace_in(headers: Mapping[str, Any]) -> str | None:
    """The trace that a message's headers name."""
    parent, state = headers.get(PARENT), headers.get(STATE)
    if not isinstance(parent, str):
        return None
    return f"{parent} {state}" if isinstance(state, str) and state else parent


def put_into(headers: dict[str, Any], trace: str) -> None:
    """Have the headers name the trace."""
    parent, _, state = trace.partition(" ")
    headers[PARENT] = parent
    if state:
        headers[STATE] = state
    else:
        headers.pop(STATE, None)


def context_of(trace: str) -> Context:
    """The context in which spans continue the trace; where it is none, they begin one."""
    carrier: dict[str, str] = {}
    put_into(carrier, trace)
    return _propagator().extract(carrier)


def is_sampled(parent: str) -> bool:
    """Whether somebody records the trace."""
    try:
        return bool(int(parent[53:55], 16) & _SAMPLED)
    except ValueError:
        return False


def current() -> SpanContext | None:
    """The span that is active here."""
    if tracer() is None:
        return None
    from opentelemetry.trace import get_current_span

    found = get_current_span().get_span_context()
    return found if found.is_valid else None


def caller() -> SpanContext | None:
    """The span that is active here, to be linked to; None if nobody records it."""
    return found if (found := current()) and found.trace_flags.sampled else None


def mark_failed(span: Span, error: BaseException | str, said: str | None = None) -> None:
    """Mark the span as failed, with the kind of failure and words that hold nothing of a job.

    Not by `record_exception`: what an exception says may quote the job.
    """
    from opentelemetry.trace import StatusCode

    kind = error if isinstance(error, str) else type(error).__name__
    span.set_attribute("error.type", kind)
    span.set_status(StatusCode.ERROR, said or kind)


def _found(api: Any) -> Tracer | None:
    """Our tracer, once there is an SDK; not while another thread is still importing it."""
    global _tracer
    if hasattr(api, "get_tracer_provider") and not isinstance(api.get_tracer_provider(), api.ProxyTracerProvider):
        _tracer = api.get_tracer("rollbook")
    return _tracer


def _propagator() -> TraceContextTextMapPropagator:
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator()
