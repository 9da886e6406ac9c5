"""Timeouts for coroutines that cost little, and do not count the time in which their event loop did not run.

`asyncio.timeout` sets a timer and cancels it again. The loop keeps cancelled timers until they would have been due, ten
thousand of them at ten thousand calls a second, which makes each call a fifth more expensive. Here all that runs in a
loop shares one timer.

And where an application computes for two seconds in a coroutine, its other coroutines find the answers that came
meanwhile, and not that they all came too late.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Final

_LATE_SECONDS: Final = 0.02
"""A timer that is late by more than this shows that the loop was busy with something else."""


class LoopTimeouts:
    """Timeouts of what runs in one event loop."""

    def __init__(self) -> None:
        self._running: set[_Timeout] = set()
        self._timer: asyncio.TimerHandle | None = None

    def limit(self, seconds: float, reason: str) -> _Timeout:
        """For a `with` block of a coroutine: cancel the block after so many seconds, and raise `TimeoutError`.

        reason: the text of the error.
        """
        return _Timeout(self, seconds, reason)

    def add(self, timeout: _Timeout, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to watch it."""
        self._running.add(timeout)
        if self._timer is None or timeout.end < self._timer.when():
            self._set_timer(timeout.end, loop)

    def discard(self, timeout: _Timeout) -> None:
        """Do not watch it any more. The timer stays: it may find another."""
        self._running.discard(timeout)

    def _set_timer(self, when: float, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(when, self._expire, when, loop)

    def _expire(self, when: float, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        if (late := now - when) > _LATE_SECONDS and self._running:
            # as long again for what has arrived meanwhile
            self._set_timer(now + late, loop)
            return
        for timeout in [each for each in self._running if each.end <= now]:
            self._running.discard(timeout)
            timeout.expire()
        if self._running:
            self._set_timer(min(each.end for each in self._running), loop)


class _Timeout:
    """A block that is cancelled at its end."""

    __slots__ = ("_cancellations", "_is_over", "_owner", "_reason", "_seconds", "_task", "end")

    def __init__(self, owner: LoopTimeouts, seconds: float, reason: str) -> None:
        self._owner = owner
        self._seconds = seconds
        self._reason = reason
        self._is_over = False

    def __enter__(self) -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        assert task is not None, "only a task has timeouts"
        self._task = task
        self._cancellations = task.cancelling()
        self.end = loop.time() + self._seconds
        self._owner.add(self, loop)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._owner.discard(self)
        if not self._is_over:
            return
        # a cancellation that came from outside as well is not ours to swallow
        is_only_ours = self._task.uncancel() <= self._cancellations
        if is_only_ours and kind is asyncio.CancelledError:
            raise TimeoutError(self._reason) from error

    def expire(self) -> None:
        """Cancel the block."""
        self._is_over = True
        self._task.cancel()
