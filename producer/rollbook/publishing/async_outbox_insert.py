"""Inserts a row with what a coroutine has: SQLAlchemy's asyncio classes, asyncpg, or psycopg.

None of them is imported here before the application has imported it.
"""

from __future__ import annotations

from inspect import iscoroutinefunction
from typing import Any, Final, Protocol

from rollbook.publishing.outbox_insert import HAS_TRACE_COLUMN, clause, insert_statement
from rollbook_shared.database.schema import in_schema

_NEEDS: Final = (
    "the outbox needs an AsyncSession or AsyncConnection of SQLAlchemy, or a connection of asyncpg or of psycopg's "
    "AsyncConnection, to a Postgres"
)


class AsyncInsert(Protocol):
    """Insert one row, unless it exists; with the trace, if the table has a column for it."""

    async def __call__(self, *, trace: str | None, id: str, digest: bytes, kind: str, body: str) -> None: ...


def async_row_inserter(transaction: Any, schema: str) -> AsyncInsert:
    """Return a coroutine function that inserts a row within the transaction, into the outbox of the Rollbook in this
    schema.

    Raises:
        TypeError: rows cannot be inserted with it, or only without `await`.
    """
    is_async = iscoroutinefunction(getattr(transaction, "commit", None))
    if hasattr(transaction, "run_sync") or (is_async and hasattr(transaction, "get_bind")):
        return _AsyncRowInserter(_AsyncSqlalchemyTransaction(transaction), schema)
    if hasattr(transaction, "fetchrow") and hasattr(transaction, "is_in_transaction"):
        return _AsyncRowInserter(_AsyncpgTransaction(transaction), schema)
    if is_async and hasattr(transaction, "cursor"):
        return _AsyncRowInserter(_AsyncPsycopgTransaction(transaction), schema)
    if hasattr(transaction, "acquire"):
        raise TypeError(f"{_NEEDS}; a pool has many, so acquire one of its connections")
    if hasattr(transaction, "get_bind") or hasattr(transaction, "cursor"):
        raise TypeError(f"{_NEEDS}; this one blocks, and belongs to the outbox of Rollbook")
    raise TypeError(_NEEDS)


class _Transaction(Protocol):
    async def insert(self, row: dict[str, Any], schema: str) -> None: ...

    async def has_rows(self, query: str) -> bool: ...


class _AsyncRowInserter:
    """Looks for the column once, and only when there is a trace."""

    def __init__(
        self, transaction: _AsyncSqlalchemyTransaction | _AsyncpgTransaction | _AsyncPsycopgTransaction, schema: str
    ) -> None:
        self._transaction = transaction
        self._schema = schema
        self._has_trace_column: bool | None = None

    async def __call__(self, *, trace: str | None, **row: Any) -> None:
        if trace is not None:
            if self._has_trace_column is None:
                self._has_trace_column = await self._transaction.has_rows(in_schema(HAS_TRACE_COLUMN, self._schema))
            if self._has_trace_column:
                row["trace"] = trace
        await self._transaction.insert(row, self._schema)


class _AsyncSqlalchemyTransaction:
    def __init__(self, transaction: Any) -> None:
        self._transaction = transaction

    async def insert(self, row: dict[str, Any], schema: str) -> None:
        await self._transaction.execute(clause(insert_statement(tuple(row), ":{name}", schema)), row)

    async def has_rows(self, query: str) -> bool:
        return (await self._transaction.execute(clause(query))).first() is not None


class _AsyncpgTransaction:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def insert(self, row: dict[str, Any], schema: str) -> None:
        await self._connection.execute(insert_statement(tuple(row), "${number}", schema), *row.values())

    async def has_rows(self, query: str) -> bool:
        return await self._connection.fetchrow(query) is not None


class _AsyncPsycopgTransaction:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def insert(self, row: dict[str, Any], schema: str) -> None:
        await self._connection.execute(insert_statement(tuple(row), "%({name})s", schema), row)

    async def has_rows(self, query: str) -> bool:
        return await (await self._connection.execute(query)).fetchone() is not None
