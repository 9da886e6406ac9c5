"""Connections to Postgres that the tasks of one event loop share.

It has the shape of `rollbook.connection_pool`, with the same limits. The pool of the package psycopg_pool would be one
more dependency of every backend that reads. It also keeps three tasks of its own running, has to be opened within the
loop before it is used, and connects before the first read.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import psycopg
from psycopg.pq import TransactionStatus

from rollbook.connection_pool import TRUSTED_SECONDS, all_in_use, has_input
from rollbook_shared.database.async_connection import AsyncTimeoutConnection
from rollbook_shared.limits import PoolLimits

Connection: TypeAlias = AsyncTimeoutConnection

_DEFAULT_LIMITS: Final = PoolLimits()


SURPLUS_SECONDS: Final = 30.0
"""How long a connection is kept that is more than those to keep."""


class AsyncConnectionPool:
    """Lends connections, in autocommit, to one task each.

    Those beyond `max_idle_connections` are closed half a minute after their last use, and not at once: coroutines come
    in bursts, which would connect anew each time.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[Connection]],
        limits: PoolLimits = _DEFAULT_LIMITS,
    ) -> None:
        """Prepare to connect. The arguments are those of `ConnectionPool`."""
        self._connect = connect
        self._limits = limits
        self._idle: deque[tuple[Connection, float]] = deque()
        """With the time at which each was returned; the last one is used first."""
        self._permits = asyncio.BoundedSemaphore(limits.max_connections)
        self._is_closed = False
        self._closing: asyncio.Task[None] | None = None
        """Closes the surplus, as long as there is any."""

    async def take(self) -> Connection:
        """Lend a connection. Pass it to `put_back` in any case.

        Raises:
            Unavailable: all connections are in use, and stay so for as long as a task may wait.
            psycopg.Error: the server cannot be reached.
        """
        if self._permits.locked():
            await self._wait_for_permit()
        else:
            await self._permits.acquire()
        try:
            while self._idle:
                connection, since = self._idle.pop()
                if await _is_alive(connection, since):
                    return connection
                await connection.close()
            return await self._connect()
        except BaseException:
            self._permits.release()
            raise

    async def put_back(self, connection: Connection) -> None:
        """Take the connection back. One that is left broken or in a transaction is closed."""
        is_clean = not connection.closed and connection.info.transaction_status is TransactionStatus.IDLE
        self._permits.release()
        if not is_clean or self._is_closed:
            await connection.close()
            return
        self._idle.append((connection, time.monotonic()))
        if len(self._idle) > self._limits.max_idle_connections and self._closing is None:
            self._closing = asyncio.create_task(self._close_surplus(), context=contextvars.Context())

    async def aclose(self) -> None:
        """Close the connections that are not in use, and each of the others when it is put back."""
        self._is_closed = True
        if self._closing is not None:
            self._closing.cancel()
        while self._idle:
            await self._idle.pop()[0].close()

    async def _wait_for_permit(self) -> None:
        try:
            async with asyncio.timeout(self._limits.connection_wait.total_seconds()):
                await self._permits.acquire()
        except TimeoutError:
            raise all_in_use(self._limits) from None

    async def _close_surplus(self) -> None:
        try:
            while len(self._idle) > self._limits.max_idle_connections:
                _, since = self._idle[0]  # the one that was used the longest time ago
                if (left := since + SURPLUS_SECONDS - time.monotonic()) > 0:
                    await asyncio.sleep(left)
                else:
                    await self._idle.popleft()[0].close()
        finally:
            self._closing = None


async def _is_alive(connection: Connection, since: float) -> bool:
    if connection.closed or has_input(connection):
        return False
    if time.monotonic() - since <= TRUSTED_SECONDS:
        return True
    try:
        await connection.execute("SELECT 1")
    except psycopg.Error:
        return False
    return True
