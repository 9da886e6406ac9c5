"""Says each second how this process is, from a thread of its own: the main loop may be waiting for Redis."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from rollbook_shared.observability.health_file import HealthState, remove, write

logger = logging.getLogger(__name__)

EVERY_SECONDS: Final = 1.0


class Heartbeat:
    """Writes what `state` returns, each second from `start` to `stop`; None: the process hangs, and nothing is written.

    Does nothing without a path. A file that cannot be written is said once, and is no reason to end: then the process
    looks dead to whoever asks, and is replaced.
    """

    def __init__(self, path: str | None, state: Callable[[], HealthState | None]) -> None:
        self._path = Path(path) if path else None
        self._state = state
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._failed = False

    def start(self) -> None:
        """Begin to say so, from a thread. Idempotent."""
        if self._path is not None and self._thread is None:
            self._thread = threading.Thread(target=self._run, args=(self._path,), name="rollbook-health", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Take the file away. Idempotent."""
        if self._path is not None and self._thread is not None:
            self._stopped.set()
            self._thread.join(EVERY_SECONDS)
            self._thread = None
            remove(self._path)

    def _run(self, path: Path) -> None:
        while True:
            if (state := self._state()) is not None:
                self._write(path, state)
            if self._stopped.wait(EVERY_SECONDS):
                return

    def _write(self, path: Path, state: HealthState) -> None:
        try:
            write(path, state)
            self._failed = False
        except OSError as error:
            if not self._failed:
                logger.error("the health file cannot be written (%s)", error.strerror)
            self._failed = True
