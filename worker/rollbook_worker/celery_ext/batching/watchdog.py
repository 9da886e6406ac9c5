"""Replaces processes of a prefork pool that no longer accept batches.

Celery writes a batch into a pipe in parts. Suppose that the process at the other end is killed meanwhile, and the
connection to the broker is lost at the same time. Then Celery forgets the rest and gives the pipe to the next process,
which takes the start of the next batch for the end of that one, and waits for ever. It has not ended, runs nothing, and
no time limit applies to it; what the worker holds would be back only after 15 minutes. A process that is stopped
(SIGSTOP) is as bad.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from time import monotonic
from typing import Any, Final, Self

from celery.utils.log import get_logger

logger = get_logger(__name__)

ACCEPT_WITHIN_SECONDS: Final = 20.0
"""An idle process accepts a batch within milliseconds."""
_CHECKS: Final = 4
"""In that time."""


class StuckProcessWatchdog:
    """Replaces the processes that do not accept a submitted batch. For the event loop's thread."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self._generation = consumer.restart_count
        self._submitted: dict[str, float] = {}
        self._is_scheduled = False

    @classmethod
    def of(cls, consumer: Any) -> Self | None:
        """For this consumer's pool; None if it has no processes: threads share our memory."""
        return cls(consumer) if consumer.pool.uses_semaphore else None

    def submitted(self, batch_id: str) -> None:
        """The pool has the batch."""
        self._submitted[batch_id] = monotonic()
        self._schedule_check()

    def accepted(self, batch_id: str) -> None:
        """A process has begun with it, or it has ended."""
        self._submitted.pop(batch_id, None)

    def _schedule_check(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            self._consumer.timer.call_after(ACCEPT_WITHIN_SECONDS / _CHECKS, self._check)

    def _check(self) -> None:
        self._is_scheduled = False
        # of batches that ran when the connection was lost Celery reports nothing
        if self._consumer.restart_count != self._generation or not self._submitted:
            return
        if monotonic() - min(self._submitted.values()) > ACCEPT_WITHIN_SECONDS:
            killed = kill_idle_processes(self._consumer.pool)
            logger.error(
                "no pool process accepted a batch for %.0f s; restarting %d idle processes",
                ACCEPT_WITHIN_SECONDS,
                killed,
            )
            self._submitted = dict.fromkeys(self._submitted, monotonic())
        self._schedule_check()


def kill_idle_processes(pool: Any) -> int:
    """Kill the processes of Celery's prefork pool that run nothing. Celery starts others and gives them what waits."""
    billiard = pool._pool
    busy = {job._worker_pid for job in billiard._cache.values() if job._accepted}
    idle = [process.pid for process in billiard._pool if process.pid not in busy and process._is_alive()]
    for pid in idle:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(idle)
