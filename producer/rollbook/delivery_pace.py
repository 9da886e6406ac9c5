"""How long a sender that claims one delivery after the other waits for the next."""

from __future__ import annotations

import time
from typing import Final

from rollbook import queries

WAIT_SECONDS: Final = 30.0
"""For one wait; the next one subscribes anew, so a broker that was away is found again."""
EMPTY_SECONDS: Final = 0.05
"""After a claim of nothing although deliveries are due: the channel's rate is used up, or other senders were faster."""


class Pace:
    """The waits of one loop, which ends when nothing was found for `idle` seconds; None: never."""

    def __init__(self, idle: float | None) -> None:
        self._idle = None if idle is None else queries.checked_timeout(idle)
        self.found()

    def found(self) -> None:
        """Something was claimed."""
        self._since = time.monotonic()
        self._has_waited = False

    def wait_seconds(self) -> float | None:
        """How long to wait for the next one, 0 to ask once; None: the loop ends."""
        if self._idle is None:
            return WAIT_SECONDS
        left = self._since + self._idle - time.monotonic()
        if left <= 0 and self._has_waited:
            return None
        self._has_waited = True
        return min(max(left, 0), WAIT_SECONDS)
