"""Batches that no process of a prefork pool takes, and the processes that should have.

Celery writes a batch into a pipe in parts. If the process at the other end is killed meanwhile, and the connection to
the broker is lost in the same moment, Celery forgets the rest and hands the pipe to the next process: which takes the
start of what comes next for the end of that batch, and waits for ever. It has not ended, runs nothing, and no time
limit holds for it; what the worker holds would be back after 15 minutes only. A process that is stopped is as bad.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any, Final

from celery.utils.log import get_logger

logger = get_logger(__name__)

TAKEN_WITHIN_SECONDS: Final = 20.0
"""A process that runs nothing takes a batch within milliseconds."""
_LOOKS: Final = 4
"""In that time."""


class Untaken:
    """Has those processes replaced that leave a batch lying. For the thread of the event loop."""

    def __init__(
        self, pool: Any, later: Callable[[float, Callable[[], None]], object], is_over: Callable[[], bool]
    ) -> None:
        """Watch over `pool`, looking up from time to time by `later`, until `is_over`: of batches that ran when the
        connection was lost Celery tells nothing.
        """
        self._pool = pool
        self._later = later
        self._is_over = is_over
        self._since: dict[str, float] = {}
        self._is_looking = False

    def submitted(self, batch_id: str) -> None:
        """The batch is the pool's."""
        if self._pool.uses_semaphore:  # of processes; threads share our memory
            self._since[batch_id] = monotonic()
            self._look_later()

    def taken(self, batch_id: str) -> None:
        """A process has begun with it, or it has ended."""
        self._since.pop(batch_id, None)

    def _look_later(self) -> None:
        if not self._is_looking:
            self._is_looking = True
            self._later(TAKEN_WITHIN_SECONDS / _LOOKS, self._look)

    def _look(self) -> None:
        self._is_looking = False
        if self._is_over() or not self._since:
            return
        if monotonic() - min(self._since.values()) > TAKEN_WITHIN_SECONDS:
            ended = end_idle_processes(self._pool)
            logger.error("a batch is left lying; %d processes that take nothing are replaced", ended)
            self._since = dict.fromkeys(self._since, monotonic())
        self._look_later()


def end_idle_processes(pool: Any) -> int:
    """Kill the processes of Celery's prefork pool that run nothing; it starts others and gives them what waits."""
    billiard = pool._pool
    at_work = {job._worker_pid for job in billiard._cache.values() if job._accepted}
    idle = [process.pid for process in billiard._pool if process.pid not in at_work and process._is_alive()]
    for pid in idle:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(idle)
