"""How long a channel waits when all of its messages would fail, so that an outage does not use up their attempts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from rollbook_shared.backoff import Backoff

LONGEST_SECONDS: Final = 900.0
"""However long the other side asks us to wait: one answer must not stop a channel for a day."""
_BACKOFF: Final = Backoff(first=1.0, longest=60.0)


class Outage:
    """Whether the channel waits, and until when. After a wait one message is tried, until one succeeds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` returns seconds that only grow."""
        self._clock = clock
        self._failures = 0
        self._ends_at = 0.0

    @property
    def is_over(self) -> bool:
        """Whether the last message showed no outage."""
        return self._failures == 0

    @property
    def seconds_left(self) -> float:
        """How long to wait before the next message is tried."""
        return max(0.0, self._ends_at - self._clock())

    def begin(self, retry_after: float | None = None) -> float | None:
        """A message has failed as all would; return how long to wait, or None if the channel waits already.

        retry_after: the other side asks us to wait for so many seconds.
        """
        if self.seconds_left:  # it was on its way when another one failed
            return None
        seconds = min(max(_BACKOFF.delay(self._failures), retry_after or 0.0), LONGEST_SECONDS)
        self._failures += 1
        self._ends_at = self._clock() + seconds
        return seconds

    def end(self) -> bool:
        """A message did not fail as all would; return whether that ends an outage."""
        if self.seconds_left or self.is_over:
            return False
        self._failures = 0
        return True
