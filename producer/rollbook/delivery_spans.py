"""The span of an attempt to hand a message over, in the trace of its trigger. It names the message and its channel,
never a user or an address.

It is the parent of what the sender's own instrumentation records. Without an SDK of OpenTelemetry there is none.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rollbook_shared.observability import tracing

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from rollbook.models import Delivery


class DeliverySpan:
    """The span, or nothing where there is no tracing."""

    def __init__(self, span: Span | None) -> None:
        self._span = span

    def succeed(self, outcome: str) -> None:
        """Say what became of the attempt."""
        if self._span is not None:
            self._span.set_attribute("rollbook.outcome", outcome)

    def fail(self, outcome: str, reason: str | None = None) -> None:
        """Say that it failed, and perhaps why: nothing of the message, and no address."""
        if self._span is not None:
            self._span.set_attribute("rollbook.outcome", outcome)
            tracing.mark_failed(self._span, outcome, reason)


@contextmanager
def delivery_span(delivery: Delivery) -> Iterator[DeliverySpan]:
    """The span of this attempt, active in the block. It continues the trace of the trigger, if that was recorded."""
    if (tracer := tracing.tracer()) is None:
        yield DeliverySpan(None)
        return
    from opentelemetry.trace import SpanKind

    attributes: dict[str, Any] = {
        "messaging.operation.name": "deliver",
        "messaging.operation.type": "send",
        "messaging.message.id": delivery.id,
        "rollbook.channel": delivery.channel,
        "rollbook.attempt": delivery.attempt,
    }
    context = None if delivery.trace is None else tracing.parse_trace(delivery.trace)
    with tracing.active_span(
        tracer, f"deliver {delivery.channel}", kind=SpanKind.PRODUCER, context=context, attributes=attributes
    ) as span:
        yield DeliverySpan(span)
