"""Handles the signals that stop a worker between two turns of its event loop.

Celery handles them wherever they interrupt the loop's thread. If the worker is asked to stop at once (SIGQUIT, a second
Ctrl+C), or softly, Celery waits for the pool right there. It waits for ever if that thread was just handing a job to
the pool and holds the pool's lock. If not, the thread then hands the job to a pool that accepts none any more, which
ends the worker with an error.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType
from typing import Any, Final

from celery.concurrency.prefork import TaskPool as PreforkPool
from celery.concurrency.solo import TaskPool as SoloPool
from celery.worker import state
from celery.worker.consumer import Consumer

from rollbook_worker.celery_ext.processes import kill_what_stays

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


class UninterruptedConsumer(Consumer):  # type: ignore[misc]  # Celery ships no types
    """Celery's consumer, without signals that interrupt a turn of its loop.

    With the solo pool the turns are the jobs themselves. There a signal is handled where it comes, so that it has an
    effect before the job ends.
    """

    loop: Callable[..., object]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        may_handle_signals = threading.current_thread() is threading.main_thread()
        if self.hub is not None and may_handle_signals and not isinstance(self.pool, SoloPool):
            self.loop = partial(_run_uninterrupted, self.hub, self.loop)

    def cancel_active_requests(self) -> None:
        """See Celery, which raises from its signal handler, and so stops the worker with an error or, with the solo
        pool, fails the job, if the pool cannot cancel jobs. Threads finish theirs, and what has not begun is released.
        """
        if isinstance(self.pool, PreforkPool):
            super().cancel_active_requests()
            kill_what_stays(self.pool)


def _run_uninterrupted(hub: Any, loop: Callable[..., object], *arguments: object) -> None:
    with handled_between_turns(hub):
        loop(*arguments)


@contextmanager
def handled_between_turns(hub: Any) -> Iterator[None]:
    """While `hub` turns, handle signals among its readable files, and wake it for that. Only in the main thread.

    If the same signal comes again before it is handled, it is handled where it comes: the turn may hang.
    """
    handlers: dict[int, Callable[[int, FrameType | None], object]]
    handlers = {number: handler for number in SIGNALS if callable(handler := signal.getsignal(number))}
    waiting: deque[int] = deque()
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    os.set_blocking(write_end, False)
    process = os.getpid()

    def on_signal(number: int, frame: FrameType | None) -> None:
        if number in waiting or os.getpid() != process:  # a process of the pool has no loop
            handlers[number](number, frame)
        else:
            waiting.append(number)
            with suppress(BlockingIOError):
                os.write(write_end, b"\0")

    def handle() -> None:
        while waiting:
            number = waiting.popleft()
            handlers[number](number, None)

    def on_wakeup() -> None:
        os.read(read_end, 16)
        handle()
        state.maybe_shutdown()  # before anything is handed to a pool that has stopped

    for number in handlers:
        signal.signal(number, on_signal)
    hub.add_reader(read_end, on_wakeup)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            if signal.getsignal(number) is on_signal:  # Celery has not replaced it
                signal.signal(number, handler)
        hub.remove_reader(read_end)
        os.close(read_end)
        os.close(write_end)
        handle()
