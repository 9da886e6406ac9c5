"""Bounds the failed logins to an account and from an address, in this process."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final

WINDOW_SECONDS: Final = 900.0
_FROM_ADDRESS: Final = 4
"""Several people may share an address."""
_MOST_KEYS: Final = 10_000


class LoginLimits:
    """Remembers failed logins for a quarter of an hour."""

    def __init__(self, failures: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Remember nothing yet.

        failures: how many there may be to one account.
        """
        self._failures = failures
        self._clock = clock
        self._failed: OrderedDict[tuple[str, str], deque[float]] = OrderedDict()

    def allows(self, account: str, address: str) -> bool:
        """Whether another login may be tried."""
        limits = {("account", account): self._failures, ("address", address): self._failures * _FROM_ADDRESS}
        return all(self._count(key) < most for key, most in limits.items())

    def record_failure(self, account: str, address: str) -> None:
        """A login has failed."""
        for key in (("account", account), ("address", address)):
            self._failed.setdefault(key, deque()).append(self._clock())
            self._failed.move_to_end(key)
        while len(self._failed) > _MOST_KEYS:
            self._failed.popitem(last=False)

    def record_success(self, account: str) -> None:
        """A login has succeeded."""
        self._failed.pop(("account", account), None)

    def _count(self, key: tuple[str, str]) -> int:
        times = self._failed.get(key)
        if times is None:
            return 0
        while times and times[0] < self._clock() - WINDOW_SECONDS:
            times.popleft()
        if not times:
            del self._failed[key]
        return len(times)
