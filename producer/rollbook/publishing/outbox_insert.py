"""Inserts a row with what the application has: SQLAlchemy, Django, or a plain DBAPI connection.

None of them is imported here before the application has imported it.
"""

from __future__ import annotations

from functools import cache
from inspect import iscoroutinefunction
from typing import Any, Final, Protocol

_INSERT: Final = "INSERT INTO rollbook_outbox ({}) VALUES ({}) ON CONFLICT DO NOTHING"
_HAS_TRACE_COLUMN: Final = """
SELECT 1
FROM pg_attribute
WHERE attrelid = to_regclass('rollbook_outbox')
  AND attname = 'trace'
  AND NOT attisdropped
  AND has_column_privilege(attrelid, attnum, 'INSERT')
"""
"""A row, if the table has the column and this role may insert into it. Asked and not tried: a statement that fails
aborts the application's transaction.
"""


class Insert(Protocol):
    """Insert one row, unless it exists; with the trace, if the table has a column for it."""

    def __call__(self, *, trace: str | None, id: str, digest: bytes, kind: str, body: str) -> None: ...


def row_inserter(transaction: Any) -> Insert:
    """Return a function that inserts a row within the transaction.

    Raises:
        TypeError: rows cannot be inserted with it, or not without `await`.
    """
    if hasattr(transaction, "run_sync"):
        raise TypeError("an async session is used as: await session.run_sync(lambda s: rb.outbox(s).users...)")
    if hasattr(transaction, "get_bind") or hasattr(transaction, "exec_driver_sql"):
        return _RowInserter(_SqlalchemyTransaction(transaction))
    if hasattr(transaction, "cursor") and not iscoroutinefunction(getattr(transaction, "commit", None)):
        return _RowInserter(_CursorTransaction(transaction))
    raise TypeError("needs a SQLAlchemy session or connection, Django's connection, or a DBAPI connection")


class _RowInserter:
    """Looks for the column once, and only when there is a trace."""

    def __init__(self, transaction: _SqlalchemyTransaction | _CursorTransaction) -> None:
        self._transaction = transaction
        self._has_trace_column: bool | None = None

    def __call__(self, *, trace: str | None, **row: Any) -> None:
        if trace is not None:
            if self._has_trace_column is None:
                self._has_trace_column = self._transaction.has_rows(_HAS_TRACE_COLUMN)
            if self._has_trace_column:
                row["trace"] = trace
        self._transaction.insert(row)


class _SqlalchemyTransaction:
    def __init__(self, transaction: Any) -> None:
        self._transaction = transaction

    def insert(self, row: dict[str, Any]) -> None:
        self._transaction.execute(_clause(_insert(tuple(row), ":{}")), row)

    def has_rows(self, query: str) -> bool:
        return self._transaction.execute(_clause(query)).first() is not None


class _CursorTransaction:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def insert(self, row: dict[str, Any]) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(_insert(tuple(row), "%({})s"), row)

    def has_rows(self, query: str) -> bool:
        with self._connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchone() is not None


@cache
def _insert(columns: tuple[str, ...], parameter: str) -> str:
    return _INSERT.format(", ".join(columns), ", ".join(map(parameter.format, columns)))


@cache
def _clause(statement: str) -> Any:
    from sqlalchemy import text

    return text(statement)
