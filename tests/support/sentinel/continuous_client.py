"""A client that sends without a pause, and records for each job whether it was confirmed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rollbook import NotSent

USERS = 20
_PAUSE_SECONDS = 0.002
"""Some hundred jobs a second: enough to be in the middle of things, and two cores have time for the workers too."""


class ContinuousClient:
    """Calls `send(number)` with 0, 1, 2 and so on, from a thread, while the `with` lasts."""

    def __init__(self, send: Callable[[int], object]) -> None:
        self._send = send
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.confirmed: list[int] = []
        self.rejected: list[int] = []
        self.last_confirmed = 0.0
        """On the monotonic clock."""
        self.longest_gap = 0.0
        """Seconds between two confirmations."""

    @property
    def sent(self) -> int:
        return len(self.confirmed) + len(self.rejected)

    def __enter__(self) -> Self:
        self.last_confirmed = time.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(_PAUSE_SECONDS):
            number = self.sent
            try:
                self._send(number)
            except NotSent:
                self.rejected.append(number)
            else:
                now = time.monotonic()
                self.longest_gap = max(self.longest_gap, now - self.last_confirmed)
                self.last_confirmed = now
                self.confirmed.append(number)
