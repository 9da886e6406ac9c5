"""Cursors that a connection keeps for the statements that nearly every transaction runs.

psycopg works out anew how to convert a statement's parameters and columns, unless the cursor's last statement was the
same. That is a fifth of the client's time for a small statement. A cursor holds a result until its next statement, so
only statements with small results get a cursor of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, LiteralString

from psycopg import Connection, Cursor


def execute_kept(
    connection: Connection[Any],
    statement: LiteralString | bytes,
    parameters: Mapping[str, Any] | None = None,
    *,
    prepare: bool | None = None,
) -> Cursor[Any]:
    """Execute the statement on the connection's cursor for it; return the cursor.

    Raises:
        psycopg.Error: as `Cursor.execute`.
    """
    cursors: dict[LiteralString | bytes, Cursor[Any]] = vars(connection).setdefault("kept_cursors", {})
    cursor = cursors.get(statement)
    if cursor is None:
        cursor = cursors[statement] = connection.cursor()
    return cursor.execute(statement, parameters, prepare=prepare)
