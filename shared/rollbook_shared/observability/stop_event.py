"""The event by which a signal asks a process to stop."""

from __future__ import annotations

import threading
from contextlib import suppress
from queue import Empty, SimpleQueue


class StopEvent(threading.Event):
    """An event that a signal handler may set, whatever its thread is doing.

    Python's own takes a lock to be set, and `wait` holds this lock while it begins: a signal that comes then waits for
    ever. A `SimpleQueue` takes no lock of this kind.
    """

    def __init__(self) -> None:
        super().__init__()
        self._is_set = False
        self._wake: SimpleQueue[None] = SimpleQueue()

    def is_set(self) -> bool:
        """See `threading.Event`."""
        return self._is_set

    def set(self) -> None:
        """See `threading.Event`."""
        self._is_set = True
        self._wake.put(None)

    def wait(self, timeout: float | None = None) -> bool:
        """See `threading.Event`."""
        if not self._is_set:
            with suppress(Empty):
                self._wake.get(timeout=timeout)
        if self._is_set:
            self._wake.put(None)  # for another thread that waits
        return self._is_set

    def clear(self) -> None:
        """A stop is final."""
        raise NotImplementedError
