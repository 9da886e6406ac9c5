"""Inserts a row with what the application has: SQLAlchemy, Django, or a plain DBAPI connection.

None of them is imported here before the application has imported it.
"""

from __future__ import annotations

import sys
from functools import cache
from inspect import iscoroutinefunction
from typing import Any, Final, Protocol

from rollbook_shared.database.schema import in_schema

_INSERT: Final = "INSERT INTO rollbook_outbox ({}) VALUES ({}) ON CONFLICT DO NOTHING"
_NEEDS: Final = (
    "the outbox needs a SQLAlchemy session or connection, Django's connection, or a DBAPI connection of psycopg or "
    "psycopg2, to a Postgres"
)
HAS_TRACE_COLUMN: Final = """
SELECT 1
FROM pg_catalog.pg_attribute
WHERE attrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass('rollbook_outbox')
  AND attname OPERATOR(pg_catalog.=) 'trace'
  AND NOT attisdropped
  AND pg_catalog.has_column_privilege(attrelid, attnum, 'INSERT')
"""
"""A row, if the table has the column and this role may insert into it. Asked and not tried: a statement that fails
aborts the application's transaction. It names its operators, as the connection is the application's, and so is its
search path.
"""


class Insert(Protocol):
    """Insert one row, unless it exists; with the trace, if the table has a column for it."""

    def __call__(self, *, trace: str | None, id: str, digest: bytes, kind: str, body: str) -> None: ...


def row_inserter(transaction: Any, schema: str) -> Insert:
    """Return a function that inserts a row within the transaction, into the outbox of the Rollbook in this schema.

    Raises:
        TypeError: rows cannot be inserted with it, or not without `await`.
    """
    commit = getattr(transaction, "commit", None)
    is_async = iscoroutinefunction(commit)
    if hasattr(transaction, "run_sync") or (is_async and hasattr(transaction, "get_bind")):
        raise TypeError(
            "an async session needs AsyncRollbook, or: await session.run_sync(lambda s: rb.outbox(s).users...)"
        )
    if hasattr(transaction, "get_bind") or hasattr(transaction, "exec_driver_sql"):
        return _RowInserter(_SqlalchemyTransaction(transaction), schema)
    if hasattr(transaction, "cursor") and callable(commit) and not is_async:
        if (style := _parameter_style(transaction)) in (None, "pyformat"):
            return _RowInserter(_CursorTransaction(transaction), schema)
        driver = transaction.__class__.__module__.partition(".")[0]
        raise TypeError(f"{_NEEDS}; {driver} writes parameters as {style}, and not as %(name)s")
    raise TypeError(_NEEDS)


def _parameter_style(connection: Any) -> str | None:
    """Return the DBAPI's `paramstyle` of the driver; None for what is no driver's own class, as Django's."""
    for owner in connection.__class__.__mro__:
        if (style := getattr(sys.modules.get(owner.__module__.partition(".")[0]), "paramstyle", None)) is not None:
            return str(style)
    return None


class _RowInserter:
    """Looks for the column once, and only when there is a trace."""

    def __init__(self, transaction: _SqlalchemyTransaction | _CursorTransaction, schema: str) -> None:
        self._transaction = transaction
        self._schema = schema
        self._has_trace_column: bool | None = None

    def __call__(self, *, trace: str | None, **row: Any) -> None:
        if trace is not None:
            if self._has_trace_column is None:
                self._has_trace_column = self._transaction.has_rows(in_schema(HAS_TRACE_COLUMN, self._schema))
            if self._has_trace_column:
                row["trace"] = trace
        self._transaction.insert(row, self._schema)


class _SqlalchemyTransaction:
    def __init__(self, transaction: Any) -> None:
        self._transaction = transaction

    def insert(self, row: dict[str, Any], schema: str) -> None:
        self._transaction.execute(clause(insert_statement(tuple(row), ":{name}", schema)), row)

    def has_rows(self, query: str) -> bool:
        return self._transaction.execute(clause(query)).first() is not None


class _CursorTransaction:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def insert(self, row: dict[str, Any], schema: str) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(insert_statement(tuple(row), "%({name})s", schema), row)

    def has_rows(self, query: str) -> bool:
        with self._connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchone() is not None


@cache
def insert_statement(columns: tuple[str, ...], parameter: str, schema: str) -> str:
    """The statement that inserts a row into the outbox of the Rollbook in this schema; `parameter` has `{name}` or
    `{number}` for each column.
    """
    values = (parameter.format(name=name, number=number) for number, name in enumerate(columns, 1))
    return in_schema(_INSERT, schema).format(", ".join(columns), ", ".join(values))


@cache
def clause(statement: str) -> Any:
    """The statement as SQLAlchemy takes it."""
    from sqlalchemy import text

    return text(statement)
