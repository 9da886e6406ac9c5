"""Connections to Postgres that threads share, and that are never shared with a forked child."""

from __future__ import annotations

import select
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

import psycopg
from psycopg.pq import TransactionStatus

from rollbook.at_fork import reset_after_fork
from rollbook_shared.errors import Unavailable

Connection: TypeAlias = psycopg.Connection[Any]

_KEPT: Final = 5
_MOST: Final = 15
_WAIT_SECONDS: Final = 10.0
"""How long a thread waits while all connections are in use."""
_TRUSTED_SECONDS: Final = 5.0
"""A connection that was idle for longer is tried before it is used: the machine at its other end may be gone."""

_inherited: Final[list[Connection]] = []
"""The parent's connections in a forked child. Kept for ever: to close them would end the parent's sessions."""


class ConnectionPool:
    """Lends connections, in autocommit, to one thread each. Opens up to 15, and keeps 5 of them open."""

    def __init__(
        self,
        connect: Callable[[], Connection],
        *,
        kept: int = _KEPT,
        most: int = _MOST,
        wait_seconds: float = _WAIT_SECONDS,
    ) -> None:
        """Prepare to connect.

        connect: opens a connection.
        kept: connections that stay open when they are not in use.
        most: connections in use at the same time.
        wait_seconds: how long a thread waits for one that another uses.
        """
        self._connect = connect
        self._kept = kept
        self._most = most
        self._wait_seconds = wait_seconds
        self._idle: deque[tuple[Connection, float]] = deque()
        """With the time at which each was returned; the last one is used first."""
        self._lent = 0
        self._generation = 0
        """Grows with each fork: a child does not keep what its parent has lent."""
        self._changed = threading.Condition()
        # At the end of the process, too, without a warning of a connection that was left open.
        self._finalizer = weakref.finalize(self, _close_all, self._idle)
        reset_after_fork(self)

    @contextmanager
    def lend(self) -> Iterator[Connection]:
        """Lend a connection for the length of a `with`. One that is left broken or in a transaction is closed.

        Raises:
            Unavailable: all connections are in use, and stay so for `wait_seconds`.
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
        self._changed = threading.Condition()  # another thread may have held it at the fork

    def _take(self) -> Connection:
        with self._changed:
            if not self._changed.wait_for(lambda: self._lent < self._most, self._wait_seconds):
                raise Unavailable(
                    f"all {self._most} connections of this client to the database were in use for "
                    f"{self._wait_seconds:g} s; the database itself may be well"
                )
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
            is_kept = is_clean and len(self._idle) < self._kept
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
    if connection.closed or _has_input(connection):
        return False
    if time.monotonic() - since <= _TRUSTED_SECONDS:
        return True
    try:
        connection.execute("SELECT 1")
    except psycopg.Error:
        return False
    return True


def _has_input(connection: Connection) -> bool:
    """Whether the server has sent something unasked: mostly that it ends the session."""
    readable = select.poll()
    readable.register(connection.fileno(), select.POLLIN)
    return bool(readable.poll(0))


def _close_all(idle: deque[tuple[Connection, float]]) -> None:
    while idle:
        connection, _ = idle.pop()
        connection.close()
