"""Updates the health file of this process every second, from its own thread: the main loop may be waiting for Redis."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from rollbook_shared.observability.health_file import HealthState, remove_health, write_health

logger = logging.getLogger(__name__)

EVERY_SECONDS: Final = 1.0


class Heartbeat:
    """Writes what `state` returns, every second from `start` to `stop`. None means that the process hangs: nothing is
    written.

    Does nothing without a path. If the file cannot be written this is logged once and the process goes on; its health
    check then fails.
    """

    def __init__(self, path: str | None, state: Callable[[], HealthState | None]) -> None:
        self._path = Path(path) if path else None
        self._state = state
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._failed = False

    def start(self) -> None:
        """Start the thread. Idempotent."""
        if self._path is not None and self._thread is None:
            self._thread = threading.Thread(target=self._run, args=(self._path,), name="rollbook-health", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop the thread and remove the file. Idempotent."""
        if self._path is not None and self._thread is not None:
            self._stopped.set()
            self._thread.join(EVERY_SECONDS)
            self._thread = None
            remove_health(self._path)

    def _run(self, path: Path) -> None:
        while True:
            if (state := self._state()) is not None:
                self._write(path, state)
            if self._stopped.wait(EVERY_SECONDS):
                return

    def _write(self, path: Path, state: HealthState) -> None:
        try:
            write_health(path, state)
            self._failed = False
        except OSError as error:
            if not self._failed:
                logger.error("cannot write the health file (%s)", error.strerror)
            self._failed = True
