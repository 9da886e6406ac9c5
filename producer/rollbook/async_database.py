"""Runs queries on Postgres from coroutines, over a pool of connections for each event loop.

Statements, answers and waits for a connection have the timeouts of `rollbook.database`. A read that is cancelled has
Postgres cancel its statement.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeVar

import psycopg
from psycopg.rows import dict_row

from rollbook.async_connection_pool import AsyncConnectionPool, Connection
from rollbook.database import modes, reading_session
from rollbook.database_failures import failure_of
from rollbook.event_loops import PerLoop
from rollbook.numbered_parameters import numbered
from rollbook_shared.database.async_connection import async_timeout_connection
from rollbook_shared.database.encoding import ENCODING_ADVICE, wrong_encoding
from rollbook_shared.database.failover import READ_ONLY_ERRORS, looks_for_primary
from rollbook_shared.database.schema import DEFAULT_SCHEMA
from rollbook_shared.database.session import open_async_session
from rollbook_shared.database.shared_sessions import async_transaction
from rollbook_shared.errors import NotConfigured
from rollbook_shared.limits import PoolLimits

if TYPE_CHECKING:
    from rollbook.queries import Query

T = TypeVar("T")

_TIMEOUT: Final = timedelta(seconds=30)
_POOL: Final = PoolLimits()


class AsyncDatabase:
    """One Postgres. It runs queries."""

    def __init__(
        self, url: str, timeout: timedelta = _TIMEOUT, pool: PoolLimits = _POOL, schema: str = DEFAULT_SCHEMA
    ) -> None:
        """Prepare to connect; nothing is connected yet.

        timeout: how long a statement may take.
        pool: how many connections there may be.
        schema: of the Rollbook.

        Raises:
            NotConfigured: this is no URL of a Postgres, or no name of a schema.
        """
        session = reading_session(url, schema, timeout)
        connection_class = async_timeout_connection(timeout)

        async def connect() -> Connection:
            connection = await open_async_session(session, connection_class)
            if (found := wrong_encoding(connection)) is not None:
                await connection.close()
                raise NotConfigured(f"the database has the encoding {found}; {ENCODING_ADVICE}")
            return connection

        self._schema = schema
        self._looks_for_primary = looks_for_primary(session.parameters)
        self._pools = PerLoop(lambda: AsyncConnectionPool(connect, pool))

    async def run(self, query: Query[T]) -> T:
        """The result of the query, or what the query raises.

        Raises:
            Unavailable: Postgres could not be reached or took too long, the connection broke, or all connections of
                the pool were in use.
            NotConfigured: the tables of Rollbook are missing, or the role in the URL may not do this.
        """
        pool = self._pools.get()
        broken = False
        try:
            connection = await pool.take()
            try:
                if query.isolation == "AUTOCOMMIT" and not query.writes and connection.local_settings is None:
                    return await _result(connection, query, self._schema)
                async with async_transaction(connection, modes(query.isolation, readonly=not query.writes)):
                    return await _result(connection, query, self._schema)
            except READ_ONLY_ERRORS:
                await connection.close()
                raise
            finally:
                broken = connection.broken
                await pool.put_back(connection)
        except psycopg.Error as error:
            if (failure := failure_of(error, broken=broken, looks_for_primary=self._looks_for_primary)) is None:
                raise
            raise failure from error

    async def aclose(self) -> None:
        """Close the connections that are not in use; new ones open when needed."""
        await self._pools.aclose()


async def _result(connection: Connection, query: Query[T], schema: str) -> T:
    steps = query.steps()
    try:
        statement = next(steps)
        while True:
            cursor = psycopg.AsyncRawCursor(connection, row_factory=dict_row)
            text, names = numbered(statement.sql, schema)
            await cursor.execute(text, [statement.parameters[name] for name in names])
            statement = steps.send(await cursor.fetchall())
    except StopIteration as end:
        result: T = end.value
        return result
