"""What one message's rendering shares among its parts: the bounds, and for whom it is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from time import monotonic, thread_time
from typing import Any, Final

from liquid.exceptions import LiquidError, ResourceLimitError
from liquid.token import Token

from rollbook_delivery.templates.bounds import RenderBounds

_STEPS_PER_CHECK: Final = 16
"""Reading a clock takes as long as a step; a step may take a few milliseconds at most."""


class BoundExceeded(ResourceLimitError):
    """The rendering would take more than it may. The text names the bound and no value."""

    def __init__(self, reason: str, token: Token | None = None) -> None:
        super().__init__(reason, token=token)


class FilterProblem(LiquidError):
    """A filter cannot do what it is asked to. The text names the filter and no value."""

    def __init__(self, reason: str, token: Token | None = None) -> None:
        super().__init__(reason, token=token)


class RenderState:
    """Counts what the rendering of one message has taken so far; raises `BoundExceeded` when it is too much."""

    __slots__ = ("_cpu_end", "_end", "_steps", "bounds", "iterations", "locale", "now", "timezone")

    def __init__(self, bounds: RenderBounds, recipient: Mapping[str, Any], now: datetime) -> None:
        """Start to count.

        now: what `"now"` means to filters: when the message was made, so that each attempt renders the same.
        """
        self.bounds = bounds
        self.locale: object = recipient.get("locale")
        self.timezone: object = recipient.get("timezone")
        self.now = now
        self.iterations = 0
        self._steps = 0
        self._end = monotonic() + bounds.cpu_seconds
        self._cpu_end = thread_time() + bounds.cpu_seconds

    def step(self) -> None:
        """Count a node of the template."""
        self._steps += 1
        if not self._steps % _STEPS_PER_CHECK:
            self.check_time()

    def check_time(self) -> None:
        """Stop what has used its processor time."""
        # A thread's processor time is never ahead of the clock, and takes a hundred times as long to read.
        if monotonic() > self._end and thread_time() > self._cpu_end:
            raise BoundExceeded(f"it takes more than {self.bounds.cpu_seconds:g} s of the processor")

    def iterate(self, times: int) -> None:
        """Count a loop that is about to begin."""
        self.iterations += times
        if self.iterations > self.bounds.iterations:
            raise BoundExceeded(f"its loops run more than {self.bounds.iterations:,} times")
        self.check_time()
