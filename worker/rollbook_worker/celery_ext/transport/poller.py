"""When the channels work: how an idle worker learns of a message, without taking it and without polling Redis.

Redis can notify a client when a key changes that the client has read ("client tracking"). A claim that finds its queues
empty has just read them, in the same step. So Redis notifies the worker of the next message that arrives, however many
queues there are. The notification comes on a second connection, which the event loop watches: in RESP2 only a
subscriber receives what it did not ask for.

Alternatives that were rejected: BRPOP takes the message before any worker is recorded as its owner, which is how the
stock transport loses messages. BLMOVE of a list onto itself is a peek, but at one list: several queues need a
connection each, and every idle worker writes to Redis for each message.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from rollbook_worker.celery_ext import privates
from rollbook_worker.celery_ext.transport.queue_scripts import ScriptConnection

_MAX_SLEEP_SECONDS: Final = 1.0
"""Of a consumer without an event loop."""
_INVALIDATIONS: Final = "__redis__:invalidate"


class Poller(privates.MultiChannelPoller):  # type: ignore[misc]  # kombu ships no types
    """kombu's poller for our channels.

    Channels work in the loop's callbacks for readable files, never in those before it sleeps: what a delivery schedules
    for soon, such as an acknowledgement with the solo pool, would then wait for the end of that sleep, up to a second.
    So when a channel has something to do, the poller writes to a pipe of its own, and the loop wakes up at once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.watched: set[int] = set()
        """Files that the event loop watches for us."""
        self._pipe: tuple[int, int] | None = None
        self._is_written = False
        self._unregister_pipe: Callable[[], None] = lambda: None

    def register(self, loop: Any) -> None:
        """Work in this event loop."""
        self._pipe = os.pipe()
        readable, _ = self._pipe
        os.set_blocking(readable, False)
        loop.add_reader(readable, self.on_wakeup)
        self._unregister_pipe = lambda: loop.remove_reader(readable)

    def _register(self, channel: Any, client: Any, type: str) -> None:
        super()._register(channel, client, type)
        self.watched.clear()  # the new socket may have the number of one that was closed

    def on_poll_start(self) -> None:
        """Before the loop sleeps."""
        super().on_poll_start()
        if self._pipe and not self._is_written and any(channel.has_work() for channel in self._channels):
            self._is_written = True
            os.write(self._pipe[1], b"\0")

    def on_wakeup(self) -> None:
        """The pipe has woken the loop."""
        if self._pipe:
            self._is_written = False
            with suppress(BlockingIOError):
                os.read(self._pipe[0], 16)
        for channel in list(self._channels):
            channel.work()

    def expect_messages(self) -> None:
        """Check the queues, whether or not Redis sent a notification."""
        for channel in self._channels:
            channel.expect_messages()

    def ping(self) -> None:
        """Ping Redis on the connections for notifications. kombu closes those that do not answer."""
        for channel in self._channels:
            channel.ping()

    def get(self, callback: Any, timeout: float | None = None) -> None:
        """Deliver something, without an event loop; or raise Empty after `timeout` seconds or less."""
        self._in_protected_read = True  # a consumer that is cancelled meanwhile waits until this is over
        try:
            self.on_poll_start()  # subscribe first: a message may arrive right after the check
            self.expect_messages()
            # not any(): each channel gets its turn
            if sum([channel.work() for channel in list(self._channels)]):
                self._after_reading()
                return
        finally:
            self._in_protected_read = False
        super().get(callback, _MAX_SLEEP_SECONDS if timeout is None else min(timeout, _MAX_SLEEP_SECONDS))

    def close(self) -> None:
        """See kombu."""
        super().close()
        if self._pipe:
            self._unregister_pipe()
            for end in self._pipe:
                os.close(end)
            self._pipe = None

    def _after_reading(self) -> None:
        while self.after_read:
            self.after_read.pop()()


class StandingReaders:
    """An event loop for kombu's transport, in which a reader stays.

    kombu adds all its readers again before each sleep. Those that are there already cost a system call and an exception
    each, which was a tenth of what the loop does for a job that comes alone.
    """

    def __init__(self, loop: Any, watched: set[int]) -> None:
        self._loop = loop
        self._watched = watched

    def add_reader(self, file: int, callback: Callable[..., object], *args: Any) -> None:
        """See kombu's hub. The hub removes readers too, such as those whose callback fails."""
        if file not in self._watched or file not in self._loop.readers:
            self._loop.add_reader(file, callback, *args)
            self._watched.add(file)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)


def subscribe(connection: Any) -> int:
    """Make this connection one that receives notifications; return its id, for `track_reads`."""
    connection.send_command("CLIENT", "ID", check_health=False)
    id_ = int(connection.read_response())
    connection.send_command("SUBSCRIBE", _INVALIDATIONS, check_health=False)
    connection.read_response()
    return id_


def track_reads(connection: ScriptConnection, *, notify: int) -> None:
    """Notify the connection with the id `notify` of changes to what this one has read, except its own changes.

    Raises:
        redis.exceptions.ResponseError: this server cannot, or this user may not.
    """
    connection.command("CLIENT", "TRACKING", "ON", "REDIRECT", notify, "NOLOOP")


def read_notifications(connection: Any) -> bool:
    """Read all that has arrived; return whether any of it was the answer to a ping."""
    answered = False
    while True:
        kind, *_ = connection.read_response()
        answered = answered or kind == b"pong"
        if not connection.can_read(timeout=0):
            return answered
