"""Databases of tests: migrated, lent to a test or a module, and lent again."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any, Final
from urllib.parse import urlsplit

import psycopg
from psycopg import Connection, errors
from psycopg.sql import SQL, Composed, Identifier, Literal

from rollbook.outbox import TABLE, create_table
from rollbook_shared.database.schema import DEFAULT_SCHEMA
from rollbook_shared.database.tables import metadata, store
from rollbook_worker.migrations import runner

LendDatabase = Callable[[], str]
"""Gives the URL of a migrated, empty database; of another one with each call."""

# Whatever changes the schema or a privilege leaves a row of one of these with another xmin; what analyses or vacuums a
# table changes its `reltuples`, and may change plans.
_CATALOG: Final = ("pg_class", "pg_attribute", "pg_constraint", "pg_proc", "pg_trigger", "pg_rewrite", "pg_namespace")
_FINGERPRINT: Final = " UNION ALL ".join(
    [
        f"SELECT '{table}', count(*), sum(hashtextextended(xmin::text || ctid::text, 0)) FROM {table}"
        for table in _CATALOG
    ]
    + ["SELECT 'tuples', count(*), sum(reltuples) FROM pg_class WHERE relnamespace = to_regnamespace(quote_ident(%s))"]
)
_MOST_BYTES: Final = 4_000_000
"""A database that has grown by more than this is dropped: to empty it would leave its pages and statistics."""


def migrate(database_url: str, schema: str = DEFAULT_SCHEMA) -> None:
    """Bring a schema to the newest revision, in this process: to start another costs a second of processor time."""
    runner.migrate(database_url, schema=schema)


def with_database(url: str, name: str) -> str:
    """The URL of another database of the same server."""
    return urlsplit(url)._replace(path=f"/{name}").geturl()


def drop_database(url: str, name: str) -> None:
    administer(url, _drop(name))


def _drop(name: str) -> Composed:
    return SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name))


def administer(url: str, statement: Composed) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a database holds when it is lent."""

    name: str
    create: Callable[[str], None]
    """Makes the tables of the database of the URL."""
    emptied: Composed
    """Empties the tables that a test may write to; for a handful of rows much faster than TRUNCATE."""
    kept: Composed
    """Reads the rows that no test may change."""
    schema: str = DEFAULT_SCHEMA
    """In which the tables are, except an outbox."""


def _deletions(*tables: Identifier) -> Composed:
    return SQL("; ").join(SQL("DELETE FROM {}").format(table) for table in tables)


def _create_outbox(url: str) -> None:
    with psycopg.connect(url) as connection:
        create_table(lambda statement: connection.execute(statement.encode()))


def rollbook_in(schema: str, *, name: str) -> Content:
    """A Rollbook in this schema, and none in another."""
    tables = (Identifier(schema, table.name) for table in metadata.sorted_tables if table is not store)
    return Content(
        name=name,
        create=lambda url: migrate(url, schema),
        emptied=_deletions(*tables),
        kept=SQL("SELECT version_num FROM {}").format(Identifier(schema, "alembic_version")),
        schema=schema,
    )


ROLLBOOK: Final = rollbook_in(DEFAULT_SCHEMA, name="rollbook")
OTHER_SCHEMA: Final = "EU-west"
"""Where no other name than that of the schema would be found: it needs quotes, and there is no schema `rollbook`."""
ELSEWHERE: Final = rollbook_in(OTHER_SCHEMA, name="elsewhere")
OUTBOX: Final = Content(
    name="outbox",
    create=_create_outbox,
    emptied=_deletions(Identifier(TABLE)),
    kept=SQL("SELECT WHERE {}").format(Literal(False)),
)
"""An application's database."""


class Databases:
    """Databases of one content on one server.

    To copy one from the template costs a tenth of a second of processor time, so one that is taken back is emptied
    and lent again, under another name: what a test may have left running does not find it. One whose schema, privileges
    or size a test has changed is dropped.
    """

    def __init__(self, server_url: str, content: Content) -> None:
        self._server_url = server_url
        self._content = content
        self._numbers = count(1)
        self._template = f"{content.name}_template_{os.getpid()}"
        self._lent: dict[str, str] = {}
        """By URL, the name."""
        self._free: list[str] = []
        # one for all: a connection costs as much as a database that is lent and taken back
        self._server = psycopg.connect(server_url, autocommit=True)
        self._server.execute(SQL("CREATE DATABASE {}").format(Identifier(self._template)))
        content.create(with_database(server_url, self._template))
        with psycopg.connect(with_database(server_url, self._template)) as connection:
            self._catalog, self._size = _examine(connection, content)
            self._kept = connection.execute(content.kept).fetchall()

    def lend(self) -> str:
        """Give the URL of a database in which nothing is."""
        name = f"{self._content.name}_test_{os.getpid()}_{next(self._numbers)}"
        if not (self._free and self._rename(self._free.pop(), name)):
            copy = SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(self._template))
            self._server.execute(copy)
        url = with_database(self._server_url, name)
        self._lent[url] = name
        return url

    def copy(self, url: str) -> str:
        """Give the URL of a copy of a database that is lent, and that has no sessions."""
        name = f"{self._content.name}_test_{os.getpid()}_{next(self._numbers)}"
        copy = SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(self._lent[url]))
        self._server.execute(copy)
        copied = with_database(self._server_url, name)
        self._lent[copied] = name
        return copied

    def take_back(self, url: str) -> None:
        """End its sessions, and empty it or drop it."""
        name = self._lent.pop(url)
        self._server.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s", (name,)
        )
        with psycopg.connect(with_database(self._server_url, name), autocommit=True) as connection:
            is_new = self.empty(connection)
        if is_new:
            self._free.append(name)
        else:
            self._server.execute(_drop(name))

    def empty(self, connection: Connection) -> bool:
        """Empty the database of the connection, which commits by itself. Return whether it is as a new one then."""
        catalog, size = _examine(connection, self._content)
        if catalog != self._catalog or size > self._size + _MOST_BYTES:
            return False
        delete_rows(connection, self._content)
        return connection.execute(self._content.kept).fetchall() == self._kept

    def close(self) -> None:
        for name in (*self._lent.values(), *self._free, self._template):
            self._server.execute(_drop(name))
        self._server.close()

    def _rename(self, name: str, new: str) -> bool:
        try:
            self._server.execute(SQL("ALTER DATABASE {} RENAME TO {}").format(Identifier(name), Identifier(new)))
        except errors.ObjectInUse:  # by what a test has left running
            self._server.execute(_drop(name))
            return False
        return True


def delete_rows(connection: Connection, content: Content = ROLLBOOK) -> None:
    """Empty the tables, in one transaction."""
    connection.execute(content.emptied, prepare=False)


def _examine(connection: Connection, content: Content) -> tuple[list[Any], int]:
    """A fingerprint of the catalog, and the size."""
    catalog = connection.execute(_FINGERPRINT.encode(), (content.schema,)).fetchall()
    (size,) = connection.execute("SELECT pg_database_size(current_database())").fetchone() or (0,)
    return catalog, size
