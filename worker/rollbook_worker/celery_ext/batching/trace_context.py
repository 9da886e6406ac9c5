"""What a job brings along of its sender's trace, if there is one."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from rollbook_shared.observability.tracing import PARENT, extract_trace, is_sampled


class Sent(NamedTuple):
    """In which trace a job was sent, and when it was received, in nanoseconds since 1970."""

    trace: str
    received: int

    @classmethod
    def of(cls, headers: Mapping[str, Any]) -> Sent | None:
        """What the headers of its message say, which is received now; None if nobody records the trace."""
        if headers.get(PARENT) is None or (trace := extract_trace(headers)) is None or not is_sampled(trace):
            return None
        return cls(trace, time.time_ns())
