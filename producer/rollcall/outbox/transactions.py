"""How a row is inserted with what the application has: SQLAlchemy, Django, or a plain DBAPI connection.

None of them is imported here before the application has.
"""

from __future__ import annotations

from inspect import iscoroutinefunction
from typing import Any, Final, Protocol

_INSERT: Final = "INSERT INTO rollcall_outbox (id, digest, kind, body) VALUES ({}) ON CONFLICT DO NOTHING"
_NAMED: Final = _INSERT.format(":id, :digest, :kind, :body")
_PYFORMAT: Final = _INSERT.format("%(id)s, %(digest)s, %(kind)s, %(body)s")


class Insert(Protocol):
    """Insert one row, unless it is there."""

    def __call__(self, *, id: str, digest: bytes, kind: str, body: str) -> None: ...


def executing(transaction: Any) -> Insert:
    """What inserts a row within the transaction.

    Raises:
        TypeError: with this nothing can be inserted, or not without `await`.
    """
    if hasattr(transaction, "run_sync"):
        raise TypeError("an async session is used as: await session.run_sync(lambda s: rc.outbox(s).users...)")
    if hasattr(transaction, "get_bind") or hasattr(transaction, "exec_driver_sql"):
        return _with_sqlalchemy(transaction)
    if hasattr(transaction, "cursor") and not iscoroutinefunction(getattr(transaction, "commit", None)):
        return _with_cursors(transaction)
    raise TypeError("needs a SQLAlchemy session or connection, Django's connection, or a DBAPI connection")


def _with_sqlalchemy(transaction: Any) -> Insert:
    from sqlalchemy import text

    statement = text(_NAMED)

    def insert(**row: Any) -> None:
        transaction.execute(statement, row)

    return insert


def _with_cursors(connection: Any) -> Insert:
    def insert(**row: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(_PYFORMAT, row)

    return insert
