"""Databases of tests: migrated, lent to a test or a module, and lent again."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import count
from typing import Any, Final
from urllib.parse import urlsplit

import psycopg
from psycopg import errors
from psycopg.sql import SQL, Composed, Identifier

from rollbook_shared.database.tables import SCHEMA, metadata
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
    + [f"SELECT 'tuples', count(*), sum(reltuples) FROM pg_class WHERE relnamespace = to_regnamespace('{SCHEMA}')"]
)
_VERSION: Final = f"SELECT version_num FROM {SCHEMA}.alembic_version"
_MOST_BYTES: Final = 4_000_000
"""A database that has grown by more than this is dropped: to empty it would leave its pages and statistics."""


def migrate(database_url: str) -> None:
    """Bring a database to the newest schema, in this process: to start another costs a second of processor time."""
    runner.migrate(database_url)


def with_database(url: str, name: str) -> str:
    """The URL of another database of the same server."""
    return urlsplit(url)._replace(path=f"/{name}").geturl()


def drop_database(url: str, name: str) -> None:
    administer(url, SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))


def administer(url: str, statement: Composed) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)


class Databases:
    """Migrated databases on one server.

    To copy one from the template costs a quarter of a second of processor time, so one that is given back is emptied
    and lent again, under another name: what a test may have left running does not find it. One whose schema, privileges
    or size a test has changed is dropped.
    """

    def __init__(self, server_url: str) -> None:
        self._server_url = server_url
        self._numbers = count(1)
        self._template = f"rollbook_template_{os.getpid()}"
        self._lent: dict[str, str] = {}
        """By URL, the name."""
        self._free: list[str] = []
        administer(server_url, SQL("CREATE DATABASE {}").format(Identifier(self._template)))
        migrate(with_database(server_url, self._template))
        self._state = self._examine(self._template)
        with psycopg.connect(with_database(server_url, self._template)) as connection:
            self._version = connection.execute(_VERSION.encode()).fetchall()

    def lend(self) -> str:
        """Give the URL of a database in which nothing is."""
        name = f"rollbook_test_{os.getpid()}_{next(self._numbers)}"
        if not (self._free and self._rename(self._free.pop(), name)):
            copy = SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(self._template))
            administer(self._server_url, copy)
        url = with_database(self._server_url, name)
        self._lent[url] = name
        return url

    def take_back(self, url: str) -> None:
        """End its sessions, and empty it or drop it."""
        name = self._lent.pop(url)
        end_sessions = SQL("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = {}")
        administer(self._server_url, end_sessions.format(name))
        if self._is_reusable(name):
            self._free.append(name)
        else:
            drop_database(self._server_url, name)

    def close(self) -> None:
        for name in (*self._lent.values(), *self._free, self._template):
            drop_database(self._server_url, name)

    def _rename(self, name: str, new: str) -> bool:
        try:
            administer(
                self._server_url, SQL("ALTER DATABASE {} RENAME TO {}").format(Identifier(name), Identifier(new))
            )
        except errors.ObjectInUse:  # by what a test has left running
            drop_database(self._server_url, name)
            return False
        return True

    def _is_reusable(self, name: str) -> bool:
        catalog, size = self._examine(name)
        if catalog != self._state[0] or size > self._state[1] + _MOST_BYTES:
            return False
        with psycopg.connect(with_database(self._server_url, name), autocommit=True) as connection:
            for table in metadata.sorted_tables:
                connection.execute(f"DELETE FROM {table.fullname}".encode())
            return connection.execute(_VERSION.encode()).fetchall() == self._version

    def _examine(self, name: str) -> tuple[list[Any], int]:
        """A fingerprint of the catalog, and the size."""
        with psycopg.connect(with_database(self._server_url, name), autocommit=True) as connection:
            catalog = connection.execute(_FINGERPRINT.encode()).fetchall()
            (size,) = connection.execute("SELECT pg_database_size(current_database())").fetchone() or (0,)
        return catalog, size
