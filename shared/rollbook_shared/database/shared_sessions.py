"""Sessions of Postgres that a connection pooler shares between its clients, as PgBouncer does in transaction mode.

Behind such a pooler each transaction may run in another session, and nothing that one sets lasts for the next. So there
each transaction begins with the settings that it needs, and they end with it; no session of the pooler's is changed.
A statement by itself has no place for them: it becomes a transaction, too.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, LiteralString

import psycopg
from psycopg.sql import SQL, Composed, Literal

NEEDS_OWN_SESSION: Final = (
    "a connection pooler such as PgBouncer shares the sessions of this Postgres between its clients; this needs the "
    "address of Postgres itself"
)
_OF_SESSIONS: Final = frozenset(
    {
        # `begin` says these
        "default_transaction_isolation",
        "default_transaction_deferrable",
        "default_transaction_read_only",
        # the pooler's own
        "idle_session_timeout",
    }
)
"""Settings that mean nothing within a transaction."""


class SharedSession(psycopg.OperationalError):
    """A pooler shares the session, and what it is for needs one of its own."""

    def __init__(self) -> None:
        super().__init__(NEEDS_OWN_SESSION)


class ShareableConnection:
    """A base of connections that may be a pooler's, whose transactions all begin with `begin`."""

    local_settings: bytes | None = None
    """The statement that sets what each transaction needs; None: the session is the connection's own, and has it."""


def set_locally(settings: Mapping[str, str], *more: LiteralString) -> Composed:
    """The statement that sets these settings until the transaction ends.

    more: further columns of it, which set settings under conditions.
    """
    # It may run under any search path, so each name says where it is.
    column = SQL("pg_catalog.set_config({}, {}, true)")
    columns: list[SQL | Composed] = [
        column.format(Literal(name), Literal(value)) for name, value in settings.items() if name not in _OF_SESSIONS
    ]
    return SQL("SELECT {}").format(SQL(", ").join([*columns, *map(SQL, more)]))


def is_shared(connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> bool:
    """Whether a pooler shares the session of the connection."""
    return isinstance(connection, ShareableConnection) and connection.local_settings is not None


def begin(
    connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any], modes: LiteralString, then: LiteralString = ""
) -> LiteralString | bytes:
    """The statements that begin a transaction, in one message.

    modes: of the transaction, such as `ISOLATION LEVEL READ COMMITTED READ ONLY`; it must name both.
    then: a further statement, whose result is the last one.
    """
    first = f"BEGIN {modes} NOT DEFERRABLE"
    settings = connection.local_settings if isinstance(connection, ShareableConnection) else None
    if settings is None:
        return f"{first}; {then}" if then else first
    return b"; ".join([first.encode(), settings, then.encode()] if then else [first.encode(), settings])


@contextmanager
def transaction(
    connection: psycopg.Connection[Any], modes: LiteralString = "ISOLATION LEVEL READ COMMITTED READ ONLY"
) -> Iterator[None]:
    """A transaction with the settings of the connection's session. The connection is in autocommit.

    Raises:
        psycopg.Error: the server failed.
    """
    try:
        connection.execute(begin(connection, modes), prepare=False)
        yield
        connection.commit()
    except BaseException:
        # where this fails, the connection is of no more use
        with contextlib.suppress(psycopg.Error):
            connection.rollback()
        raise


@asynccontextmanager
async def async_transaction(connection: psycopg.AsyncConnection[Any], modes: LiteralString) -> AsyncIterator[None]:
    """The same, for asyncio."""
    try:
        await connection.execute(begin(connection, modes), prepare=False)
        yield
        await connection.commit()
    except BaseException:
        with contextlib.suppress(psycopg.Error):
            await connection.rollback()
        raise
