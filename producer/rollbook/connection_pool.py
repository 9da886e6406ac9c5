"""Connections to Postgres that threads share, and that are never shared with a forked child."""

from __future__ import annotations

import select
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import TIMEOUT_MAX
from typing import Any, Final, TypeAlias

import psycopg
from psycopg.pq import TransactionStatus

from rollbook.at_fork import reset_after_fork
from rollbook.process_locks import ProcessLock, renew_locks
from rollbook_shared.database.timeouts import TimeoutConnection
from rollbook_shared.errors import Unavailable
from rollbook_shared.limits import PoolLimits

Connection: TypeAlias = TimeoutConnection

TRUSTED_SECONDS: Final = 5.0
"""A connection that was idle for longer is tried before it is used: the machine at its other end may be gone."""

_DEFAULT_LIMITS: Final = PoolLimits()

_inherited: Final[list[Connection]] = []
"""The parent's connections in a forked child. Kept for ever: to close them would end the parent's sessions."""


class ConnectionPool:
    """Lends connections, in autocommit, to one thread each."""

    _changed = ProcessLock(lambda: threading.Condition())

    def __init__(
        self,
        connect: Callable[[], Connection],
        limits: PoolLimits = _DEFAULT_LIMITS,
    ) -> None:
        """Prepare to connect.

        connect: opens a connection.
        """
        self._connect = connect
        self._limits = limits
        self._wait_seconds = min(limits.connection_wait.total_seconds(), TIMEOUT_MAX)
        self._idle: deque[tuple[Connection, float]] = deque()
        """With the time at which each was returned; the last one is used first."""
        self._lent = 0
        self._generation = 0
        """Grows with each fork: a child does not keep what its parent has lent."""
        # At the end of the process, too, without a warning of a connection that was left open.
        self._finalizer = weakref.finalize(self, _close_all, self._idle)
        reset_after_fork(self)

    @contextmanager
    def lend(self) -> Iterator[Connection]:
        """Lend a connection for the length of a `with`. One that is left broken or in a transaction is closed.

        Raises:
            Unavailable: all connections are in use, and stay so for as long as a thread may wait.
            psycopg.Error: the server cannot be reached.
        """
        connection, generation = self._take(), self._generation
        try:
            yield connection
        finally:
            if generation == self._generation:
                self._release(connection)
            else:  # forked within the block
                _inherited.append(connection)

    def close(self) -> None:
        """Close the connections that are not in use; lending opens new ones."""
        with self._changed:
            _close_all(self._idle)

    def drop_inherited_connections(self) -> None:
        """Forget the parent's connections, in a forked child, without closing them."""
        _inherited.extend(connection for connection, _ in self._idle)
        self._idle.clear()
        self._lent = 0
        self._generation += 1
        renew_locks(self)

    def _take(self) -> Connection:
        with self._changed:
            if not self._changed.wait_for(lambda: self._lent < self._limits.max_connections, self._wait_seconds):
                raise all_in_use(self._limits)
            self._lent += 1
        try:
            while (idle := self._pop()) is not None:
                connection, since = idle
                if _is_alive(connection, since):
                    return connection
                connection.close()
            return self._connect()
        except BaseException:
            self._count_returned()
            raise

    def _pop(self) -> tuple[Connection, float] | None:
        with self._changed:
            return self._idle.pop() if self._idle else None

    def _release(self, connection: Connection) -> None:
        is_clean = not connection.closed and connection.info.transaction_status is TransactionStatus.IDLE
        with self._changed:
            is_kept = is_clean and len(self._idle) < self._limits.max_idle_connections
            if is_kept:
                self._idle.append((connection, time.monotonic()))
        if not is_kept:
            connection.close()
        self._count_returned()

    def _count_returned(self) -> None:
        with self._changed:
            self._lent -= 1
            self._changed.notify()


def _is_alive(connection: Connection, since: float) -> bool:
    """Whether the server has not closed the connection; after a long time it is asked."""
    if connection.closed or has_input(connection):
        return False
    if time.monotonic() - since <= TRUSTED_SECONDS:
        return True
    try:
        connection.execute("SELECT 1")
    except psycopg.Error:
        return False
    return True


def all_in_use(limits: PoolLimits) -> Unavailable:
    """The error of a caller who has waited so long for one of so many connections."""
    return Unavailable(
        f"all {limits.max_connections} connections of this client to the database were in use for "
        f"{limits.connection_wait.total_seconds():g} s; the database itself may be well; allow more connections "
        "(ROLLBOOK_MAX_CONNECTIONS) or a longer wait (ROLLBOOK_CONNECTION_WAIT_SECONDS)"
    )


def has_input(connection: Connection | psycopg.AsyncConnection[Any]) -> bool:
    """Whether the server has sent something unasked: mostly that it ends the session."""
    readable = select.poll()
    readable.register(connection.fileno(), select.POLLIN)
    return bool(readable.poll(0))


def _close_all(idle: deque[tuple[Connection, float]]) -> None:
    while idle:
        connection, _ = idle.pop()
        connection.close()
