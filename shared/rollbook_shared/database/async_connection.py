"""Connections of asyncio to Postgres that do not wait for ever, as those of `rollbook_shared.database.timeouts`.

psycopg registers its socket with the event loop for each wait, with a timer, and takes both out again, which is half of
what a short statement costs. Here a connection stays registered, until it is closed or the server sends something
unasked. What the server sends is read by the loop itself, and the coroutine goes on once the answer is complete.
"""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop
from collections.abc import Generator
from datetime import timedelta
from typing import Any, ClassVar, Final, TypeVar

import psycopg
from psycopg.pq import ConnStatus, TransactionStatus
from psycopg.waiting import READY_R, READY_W, WAIT_W

from rollbook_shared.database.shared_sessions import ShareableConnection
from rollbook_shared.database.timeouts import ResponseTimeout, response_seconds
from rollbook_shared.loop_timeouts import LoopTimeouts

T = TypeVar("T")
_Steps = Generator[Any, Any, T]

_CANCEL_SECONDS: Final = 5.0
"""How long asking Postgres to cancel a statement may take."""


class AsyncTimeoutConnection(ShareableConnection, psycopg.AsyncConnection[Any]):
    """A connection that closes itself and raises `ResponseTimeout` if a response takes longer than `response_seconds`.

    Make the class with `async_timeout_connection`.
    """

    response_seconds: ClassVar[float]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._timeouts = LoopTimeouts()
        self._loop: AbstractEventLoop | None = None
        """Where the socket is registered."""
        self._socket = -1
        self._is_writing = False
        self._steps: _Steps[Any] | None = None
        self._result: asyncio.Future[Any]

    async def wait(self, gen: _Steps[T], *args: Any, **kwargs: Any) -> T:
        """See psycopg: every wait for the server, once connected, is this one.

        A statement whose coroutine is cancelled is cancelled in Postgres, and the connection is closed.
        """
        try:
            wanted = next(gen)
        except StopIteration as end:
            done: T = end.value
            return done
        loop = asyncio.get_running_loop()
        self._steps, self._result = gen, loop.create_future()
        self._register(loop, wanted)
        try:
            with self._timeouts.limit(self.response_seconds, ""):
                result: T = await self._result
                return result
        except TimeoutError:
            await self.close()
            raise ResponseTimeout from None
        except asyncio.CancelledError:
            try:
                if self.info.transaction_status is TransactionStatus.ACTIVE:
                    await self.cancel_safe(timeout=_CANCEL_SECONDS)
            finally:
                await self.close()
            raise
        finally:
            self._steps = None

    async def close(self) -> None:
        """See psycopg."""
        self._deregister()
        await super().close()

    def _register(self, loop: AbstractEventLoop, wanted: int) -> None:
        if self._loop is None:
            self._loop, self._socket = loop, self.pgconn.socket
            loop.add_reader(self._socket, self._on_ready, READY_R)
        if self._is_writing != bool(wanted & WAIT_W):
            self._is_writing = not self._is_writing
            if self._is_writing:
                loop.add_writer(self._socket, self._on_ready, READY_W)
            else:
                loop.remove_writer(self._socket)

    def _deregister(self) -> None:
        if (loop := self._loop) is not None and not loop.is_closed():
            loop.remove_reader(self._socket)
            loop.remove_writer(self._socket)
        self._loop, self._is_writing = None, False

    def _on_ready(self, ready: int) -> None:
        if self._steps is None:  # nothing is asked; the loop would call this again and again
            self._deregister()
            return
        try:
            wanted = self._steps.send(ready)
        except StopIteration as end:
            self._finish(end.value, None)
        except Exception as error:
            self._finish(None, error)
        else:
            if self._loop is not None:
                self._register(self._loop, wanted)

    def _finish(self, value: Any, error: Exception | None) -> None:
        self._steps = None
        # libpq closes the socket of a broken connection, and its number may be another one's at once
        if self.pgconn.status == ConnStatus.BAD:
            self._deregister()
        if self._result.done():
            return
        if error is None:
            self._result.set_result(value)
        elif isinstance(error, OSError):
            self._result.set_exception(psycopg.OperationalError("the connection's socket was closed"))
        else:
            self._result.set_exception(error)


def async_timeout_connection(statement: timedelta) -> type[AsyncTimeoutConnection]:
    """A class of connections for statements that take at most this long; the client waits a little longer."""
    attributes = {"response_seconds": response_seconds(statement)}
    return type("AsyncTimeoutConnection", (AsyncTimeoutConnection,), attributes)
