"""Indexes that operators may create: each serves reads that not every application needs, and makes writes dearer.

They are created and dropped without blocking the workers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Final

import psycopg
from psycopg.sql import SQL, Identifier

from rollbook_shared.database.tables import SCHEMA
from rollbook_shared.database.url import libpq_url
from rollbook_shared.errors import Unavailable
from rollbook_shared.reasons import safe_reason

OPTIONAL_INDEXES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "updated_at": (
            "CREATE INDEX CONCURRENTLY users_updated_at ON rollbook.users"
            " ((CASE WHEN cluster_root IS NULL THEN last_stamp ELSE resolved_stamp END), id)"
        )
    }
)
"""By what users can then be sorted. The value changes with every write, so that no update of a user is HOT any more."""

_IS_PARTITIONED: Final = "SELECT relkind = 'p' FROM pg_class WHERE oid = 'rollbook.users'::regclass"
_DROP: Final = SQL("DROP INDEX IF EXISTS {}")
_DROP_CONCURRENTLY: Final = SQL("DROP INDEX CONCURRENTLY IF EXISTS {}")
_IS_VALID: Final = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('rollbook.users_' || %s)"


def create_index(database_url: str, name: str) -> bool:
    """Create one of `OPTIONAL_INDEXES`; False if it is there already. Workers go on meanwhile, except where the tables
    are partitioned: Postgres can then only build it under a lock.

    Raises:
        Unavailable: the database cannot be reached, or the index could not be built. Trying again is safe.
    """
    with _connect(database_url) as connection:
        row = connection.execute(_IS_VALID, (name,)).fetchone()
        if row is not None and row[0]:
            return False
        if row is not None:  # an attempt that was interrupted has left it
            _drop(connection, name)
        statement = OPTIONAL_INDEXES[name]
        (is_partitioned,) = connection.execute(_IS_PARTITIONED).fetchone() or (False,)
        connection.execute((statement.replace("CONCURRENTLY ", "") if is_partitioned else statement).encode())
        connection.execute("ANALYZE rollbook.users")
        return True


def drop_index(database_url: str, name: str) -> None:
    """Drop one of `OPTIONAL_INDEXES`, if it is there.

    Raises:
        Unavailable: the database cannot be reached, or the index could not be dropped.
    """
    with _connect(database_url) as connection:
        _drop(connection, name)


def _drop(connection: psycopg.Connection, name: str) -> None:
    (is_partitioned,) = connection.execute(_IS_PARTITIONED).fetchone() or (False,)
    statement = _DROP if is_partitioned else _DROP_CONCURRENTLY
    index = f"users_{name}"
    connection.execute(statement.format(Identifier(SCHEMA, index)))


@contextmanager
def _connect(database_url: str) -> Iterator[psycopg.Connection]:
    try:
        # an index takes as long as it takes
        with psycopg.connect(libpq_url(database_url), autocommit=True) as connection:
            connection.execute("SET statement_timeout = 0; SET lock_timeout = 0")
            yield connection
    except psycopg.OperationalError as error:
        raise Unavailable(f"the index could not be changed: {safe_reason(error)}") from error
