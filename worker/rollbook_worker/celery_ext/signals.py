"""Has the signals that stop a worker answered between two turns of its event loop.

Celery answers them wherever they interrupt the loop's thread. Told to stop at once (SIGQUIT, a second Ctrl+C), or
softly, it waits for the pool right there: for ever, if that thread was just handing a job to the pool and holds its
lock; and if not, the job is handed to a pool that takes none any more, which ends the worker with an error.
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

from celery.concurrency.solo import TaskPool as SoloPool
from celery.worker import state
from celery.worker.consumer import Consumer as StockConsumer

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


class Consumer(StockConsumer):  # type: ignore[misc]  # Celery ships no types
    """Celery's consumer, whose turns no signal interrupts. With the solo pool they are the jobs themselves: there a
    signal is answered where it comes, so that somebody hears of it.
    """

    loop: Callable[..., object]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        is_ours = threading.current_thread() is threading.main_thread()  # to handle signals
        if self.hub is not None and is_ours and not isinstance(self.pool, SoloPool):
            self.loop = partial(_uninterrupted, self.hub, self.loop)


def _uninterrupted(hub: Any, loop: Callable[..., object], *arguments: object) -> None:
    with answering_between_turns(hub):
        loop(*arguments)


@contextmanager
def answering_between_turns(hub: Any) -> Iterator[None]:
    """While `hub` turns: answer signals when it is about to sleep, and wake it for that. Only in the main thread.

    The same signal again, before it is answered, is answered where it comes: the turn may hang.
    """
    handlers: dict[int, Callable[[int, FrameType | None], object]]
    handlers = {number: handler for number in SIGNALS if callable(handler := signal.getsignal(number))}
    waiting: deque[int] = deque()
    hear, ring = os.pipe()
    os.set_blocking(hear, False)
    os.set_blocking(ring, False)
    process = os.getpid()

    def on_signal(number: int, frame: FrameType | None) -> None:
        if number in waiting or os.getpid() != process:  # a process of the pool has no loop
            handlers[number](number, frame)
        else:
            waiting.append(number)
            with suppress(BlockingIOError):
                os.write(ring, b"\0")

    def answer() -> None:
        while waiting:
            number = waiting.popleft()
            handlers[number](number, None)

    def before_sleep() -> None:
        if waiting:
            answer()
            state.maybe_shutdown()  # before anything is handed to a pool that is stopped

    for number in handlers:
        signal.signal(number, on_signal)
    hub.on_tick.add(before_sleep)
    hub.add_reader(hear, lambda: os.read(hear, 16))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            if signal.getsignal(number) is on_signal:  # Celery has put no other in its place
                signal.signal(number, handler)
        hub.on_tick.discard(before_sleep)
        hub.remove_reader(hear)
        os.close(hear)
        os.close(ring)
        answer()
