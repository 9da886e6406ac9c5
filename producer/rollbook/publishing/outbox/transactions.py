"""How a row is inserted with what the application has: SQLAlchemy, Django, or a plain DBAPI connection.

None of them is imported here before the application has.
"""

from __future__ import annotations

from functools import cache
from inspect import iscoroutinefunction
from typing import Any, Final, Protocol

_INSERT: Final = "INSERT INTO rollbook_outbox ({}) VALUES ({}) ON CONFLICT DO NOTHING"
_KEEPS_TRACES: Final = """
SELECT 1
FROM pg_attribute
WHERE attrelid = to_regclass('rollbook_outbox')
  AND attname = 'trace'
  AND NOT attisdropped
  AND has_column_privilege(attrelid, attnum, 'INSERT')
"""
"""Whether the table has the column, and may be given it by this role; a row if so. Found out and not tried: a statement
that fails takes the application's transaction with it.
"""


class Insert(Protocol):
    """Insert one row, unless it is there; with the trace, where the table keeps it."""

    def __call__(self, *, trace: str | None, id: str, digest: bytes, kind: str, body: str) -> None: ...


def executing(transaction: Any) -> Insert:
    """What inserts a row within the transaction.

    Raises:
        TypeError: with this nothing can be inserted, or not without `await`.
    """
    if hasattr(transaction, "run_sync"):
        raise TypeError("an async session is used as: await session.run_sync(lambda s: rb.outbox(s).users...)")
    if hasattr(transaction, "get_bind") or hasattr(transaction, "exec_driver_sql"):
        return _Inserting(_OfSqlalchemy(transaction))
    if hasattr(transaction, "cursor") and not iscoroutinefunction(getattr(transaction, "commit", None)):
        return _Inserting(_OfCursors(transaction))
    raise TypeError("needs a SQLAlchemy session or connection, Django's connection, or a DBAPI connection")


class _Inserting:
    """Looks once, and only when there is a trace, whether the table keeps it."""

    def __init__(self, transaction: _OfSqlalchemy | _OfCursors) -> None:
        self._transaction = transaction
        self._keeps_traces: bool | None = None

    def __call__(self, *, trace: str | None, **row: Any) -> None:
        if trace is not None:
            if self._keeps_traces is None:
                self._keeps_traces = self._transaction.finds(_KEEPS_TRACES)
            if self._keeps_traces:
                row["trace"] = trace
        self._transaction.insert(row)


class _OfSqlalchemy:
    def __init__(self, transaction: Any) -> None:
        self._transaction = transaction

    def insert(self, row: dict[str, Any]) -> None:
        self._transaction.execute(_clause(_insert(tuple(row), ":{}")), row)

    def finds(self, query: str) -> bool:
        return self._transaction.execute(_clause(query)).first() is not None


class _OfCursors:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def insert(self, row: dict[str, Any]) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(_insert(tuple(row), "%({})s"), row)

    def finds(self, query: str) -> bool:
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
