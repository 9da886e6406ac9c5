"""The id of this worker's database, which it needs before it may take jobs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

from rollbook_shared.backoff import Backoff
from rollbook_shared.errors import RollbookError

logger = logging.getLogger(__name__)

FIRST_WAIT_SECONDS: Final = 3.0
"""How long the first call waits for Postgres. It answers in a few milliseconds, unless it is away."""
_BACKOFF: Final = Backoff(first=0.5, longest=5.0)


class StoreId:
    """Reads the id once, in a thread, so that a worker whose Postgres is away goes on turning. For any thread."""

    def __init__(self, read: Callable[[], str]) -> None:
        """`read` reads it from Postgres; it may raise a `RollbookError`, and is called again then."""
        self._read = read
        self._id: str | None = None
        self._is_known = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def __call__(self) -> str | None:
        """The id; None while it is not known yet. The first call begins to read it, and waits a little."""
        if self._id is None:
            with self._lock:
                is_first, self._thread = self._thread is None, self._thread or self._start()
            if is_first:
                self._is_known.wait(FIRST_WAIT_SECONDS)
        return self._id

    def _start(self) -> threading.Thread:
        thread = threading.Thread(target=self._run, name="rollbook-store-id", daemon=True)
        thread.start()
        return thread

    def _run(self) -> None:
        failures, logged = 0, ""
        while not self._is_known.is_set():
            try:
                self._id = self._read()
            except RollbookError as error:
                if str(error) != logged:
                    logged = str(error)
                    logger.warning("taking no jobs before the id of the database is known: %s; trying again", error)
                self._is_known.wait(_BACKOFF.delay(failures))
                failures += 1
            else:
                self._is_known.set()
