"""Cursors that run each statement in the schema of one Rollbook; see `rollbook_shared.database.schema`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Self

import psycopg
from psycopg.abc import Params, Query
from psycopg.rows import Row
from psycopg.sql import Composable

from rollbook_shared.database.schema import in_schema


def use_schema(connection: psycopg.Connection[Any], schema: str) -> None:
    """Have each cursor that the connection makes from now on run its statements in the schema."""
    connection.cursor_factory = type("SchemaCursor", (_SchemaCursor,), {"schema": schema})
    connection.server_cursor_factory = type("SchemaServerCursor", (_SchemaServerCursor,), {"schema": schema})


class _SchemaCursor(psycopg.Cursor[Row]):
    schema: ClassVar[str]

    def execute(self, query: Query, params: Params | None = None, **options: Any) -> Self:
        """See psycopg."""
        return super().execute(_placed(query, self), params, **options)

    def executemany(self, query: Query, params_seq: Iterable[Params], **options: Any) -> None:
        """See psycopg."""
        super().executemany(_placed(query, self), params_seq, **options)

    def stream(self, query: Query, params: Params | None = None, **options: Any) -> Iterator[Row]:
        """See psycopg."""
        return super().stream(_placed(query, self), params, **options)

    def copy(self, statement: Query, params: Params | None = None, **options: Any) -> Any:
        """See psycopg."""
        return super().copy(_placed(statement, self), params, **options)


class _SchemaServerCursor(psycopg.ServerCursor[Row]):
    schema: ClassVar[str]

    def execute(self, query: Query, params: Params | None = None, **options: Any) -> Self:
        """See psycopg."""
        return super().execute(_placed(query, self), params, **options)


def _placed(query: Query, cursor: _SchemaCursor[Any] | _SchemaServerCursor[Any]) -> bytes:
    match query:
        case str():
            text: str = query
        case bytes():
            text = query.decode()
        case Composable():
            text = query.as_string(cursor)
        case _:
            raise TypeError(f"a statement is text, and not {type(query).__name__}")
    return in_schema(text, cursor.schema).encode()
