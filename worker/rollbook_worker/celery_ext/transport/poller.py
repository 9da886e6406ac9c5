"""Whose turn it is: lets the channels work when there is something to do, and the event loop sleep when not."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from rollbook_worker.celery_ext.transport import kombu_internals

_AWAKE: Final = 1.0
"""Seconds that a consumer without an event loop sleeps at most."""


class Poller(kombu_internals.MultiChannelPoller):  # type: ignore[misc]  # kombu ships no types
    """kombu's poller for our channels.

    Channels work in callbacks of the loop for readable files, never in those before it sleeps: what a delivery asks the
    loop to do soon, such as acknowledging for the solo pool, would then wait for the end of that sleep, up to a second.
    So a channel that has something to do rings a bell, a pipe that makes the loop's sleep end at once.
    """

    def __init__(self) -> None:
        super().__init__()
        self._bell: tuple[int, int] | None = None
        self._rings = False
        self._leave_loop: Callable[[], None] = lambda: None

    def ring_in(self, loop: Any) -> None:
        """Work in this event loop."""
        self._bell = os.pipe()
        hear, _ = self._bell
        os.set_blocking(hear, False)
        loop.add_reader(hear, self.on_bell)
        self._leave_loop = lambda: loop.remove_reader(hear)

    def on_poll_start(self) -> None:
        """Before the loop sleeps."""
        super().on_poll_start()
        if self._bell and not self._rings and any(channel.has_work() for channel in self._channels):
            self._rings = True
            os.write(self._bell[1], b"\0")

    def on_bell(self) -> None:
        """The loop was woken to work."""
        if self._bell:
            self._rings = False
            with suppress(BlockingIOError):
                os.read(self._bell[0], 16)
        for channel in list(self._channels):
            channel.work()

    def look_again(self) -> None:
        """Look for messages, told of or not."""
        for channel in self._channels:
            channel.look_again()

    def ping(self) -> None:
        """Ask the connections that tell of messages whether they are still there; kombu drops those that are not."""
        for channel in self._channels:
            channel.ping()

    def get(self, callback: Any, timeout: float | None = None) -> None:
        """Deliver something, without an event loop; or raise Empty after `timeout` seconds or less."""
        self._in_protected_read = True  # a consumer that is cancelled meanwhile waits until we are through
        try:
            self.on_poll_start()  # be told of what comes after we have looked
            self.look_again()
            # not any(): each channel is to have its turn
            if sum([channel.work() for channel in list(self._channels)]):
                self._after_reading()
                return
        finally:
            self._in_protected_read = False
        super().get(callback, _AWAKE if timeout is None else min(timeout, _AWAKE))

    def close(self) -> None:
        """See kombu."""
        super().close()
        if self._bell:
            self._leave_loop()
            for end in self._bell:
                os.close(end)
            self._bell = None

    def _after_reading(self) -> None:
        while self.after_read:
            self.after_read.pop()()
