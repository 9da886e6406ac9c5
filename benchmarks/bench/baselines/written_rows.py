"""The floor of jobs that write many rows: the rows that a worker left, written again into the same tables elsewhere.

Nothing is received, decoded, checked, read or computed, and a row that the worker wrote twice is written once. One
connection copies the rows (COPY, the fastest way into Postgres). Rows that replace others are copied into a temporary
table, and upserted from there by one statement.

No column is named here, so that this survives changes of the schema.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg.sql import SQL, Composable, Identifier

Rows = Mapping[str, Sequence[bytes]]
"""Table -> its rows, as COPY has them."""

_TABLES: Final = """
SELECT relname
FROM pg_class
WHERE relnamespace = 'rollbook'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
ORDER BY relname
"""
_COLUMNS: Final = """
SELECT attname
FROM pg_attribute
WHERE attrelid = to_regclass('rollbook.' || quote_ident(%s)) AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
ORDER BY attnum
"""
_KEY: Final = """
SELECT attname
FROM pg_index
JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey)
WHERE indrelid = to_regclass('rollbook.' || quote_ident(%s)) AND indisprimary
"""


def mark(connection: psycopg.Connection[Any]) -> int:
    """A number that stands for now; see `rows_since`."""
    ((number,),) = connection.execute("SELECT pg_current_xact_id()::text::bigint")
    return int(number)


def rows_since(connection: psycopg.Connection[Any], marked: int) -> dict[str, list[bytes]]:
    """The rows that were written since the mark and are still there, in the order of writing."""
    found = {}
    for (name,) in connection.execute(_TABLES).fetchall():
        table = _Table.find(connection, name)
        written = SQL("SELECT {} FROM {} WHERE xmin::text::bigint >= {} ORDER BY tableoid, ctid").format(
            table.columns, table.name, marked
        )
        with connection.cursor() as cursor, cursor.copy(SQL("COPY ({}) TO STDOUT").format(written)) as copy:
            rows = b"".join(map(bytes, copy)).splitlines(keepends=True)
        if rows:
            found[name] = rows
    return found


def write(connection: psycopg.Connection[Any], rows: Rows, *, transactions: int) -> float:
    """Write the rows in so many transactions, each with an equal part of every table; return the seconds. The
    connection must be in autocommit mode.
    """
    tables = {name: _Table.find(connection, name) for name in rows}
    replacing = {name for name, lines in rows.items() if tables[name].holds_any(connection, lines)}
    parts = [
        {name: b"".join(_part(lines, number, transactions)) for name, lines in rows.items()}
        for number in range(transactions)
    ]
    begin = time.perf_counter()
    for part in parts:
        with connection.transaction():
            for name, data in part.items():
                if name in replacing:
                    tables[name].upsert(connection, data)
                else:
                    tables[name].insert(connection, data)
    seconds = time.perf_counter() - begin
    for name in replacing:
        connection.execute(SQL("DROP TABLE {}").format(tables[name].copied))
    return seconds


def _part(lines: Sequence[bytes], number: int, parts: int) -> Sequence[bytes]:
    return lines[len(lines) * number // parts : len(lines) * (number + 1) // parts]


@dataclass(frozen=True, slots=True)
class _Table:
    name: Composable
    copied: Composable
    """The temporary table."""
    columns: Composable
    key: Composable | None
    """None: it has no primary key, so that no row replaces another."""
    assignments: Composable

    @classmethod
    def find(cls, connection: psycopg.Connection[Any], name: str) -> _Table:
        columns, key = (
            [Identifier(column) for (column,) in connection.execute(query, [name]).fetchall()]
            for query in (_COLUMNS, _KEY)
        )
        return cls(
            name=Identifier("rollbook", name),
            copied=Identifier("pg_temp", name),
            columns=SQL(", ").join(columns),
            key=SQL(", ").join(key) if key else None,
            assignments=SQL(", ").join(SQL("{0} = excluded.{0}").format(column) for column in columns),
        )

    def holds_any(self, connection: psycopg.Connection[Any], lines: Sequence[bytes]) -> bool:
        """Whether the table has a row with the key of one of these. If so, the temporary table is left, empty."""
        if self.key is None:
            return False
        connection.execute(SQL("CREATE TEMPORARY TABLE {} (LIKE {})").format(self.copied, self.name))
        self._copy(connection, self.copied, b"".join(lines))
        held = SQL("SELECT EXISTS (SELECT FROM {} NATURAL JOIN (SELECT {} FROM {}) AS copied)")
        ((is_held,),) = connection.execute(held.format(self.name, self.key, self.copied))
        connection.execute(SQL("TRUNCATE {}" if is_held else "DROP TABLE {}").format(self.copied))
        return bool(is_held)

    def insert(self, connection: psycopg.Connection[Any], data: bytes) -> None:
        self._copy(connection, self.name, data)

    def upsert(self, connection: psycopg.Connection[Any], data: bytes) -> None:
        self._copy(connection, self.copied, data)
        connection.execute(
            SQL("INSERT INTO {} ({}) SELECT {} FROM {} ON CONFLICT ({}) DO UPDATE SET {}").format(
                self.name, self.columns, self.columns, self.copied, self.key, self.assignments
            )
        )
        connection.execute(SQL("DELETE FROM {}").format(self.copied))

    def _copy(self, connection: psycopg.Connection[Any], table: Composable, data: bytes) -> None:
        with (
            connection.cursor() as cursor,
            cursor.copy(SQL("COPY {} ({}) FROM STDIN").format(table, self.columns)) as copy,
        ):
            copy.write(data)
