"""Indexes that operators may create: each serves reads that not every application needs, and makes writes dearer.

They are created and dropped without blocking the workers. An index on a key needs the key in a stored column; see
`stored_keys`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import psycopg
from psycopg.sql import SQL, Identifier

from rollbook_shared.database.schema import DEFAULT_SCHEMA
from rollbook_shared.database.session import make_session, open_session
from rollbook_shared.database.shared_sessions import SharedSession
from rollbook_shared.errors import NotConfigured, Unavailable
from rollbook_shared.reasons import safe_reason
from rollbook_worker.migrations.stored_keys import StoredKey, clear_keys, fill_keys


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexDefinition:
    """What an operator creates by one name."""

    indexes: Mapping[str, str]
    """Postgres' indexes on `users`, by name, each with its columns and condition."""
    keys: tuple[StoredKey, ...] = ()
    """The keys that are in these indexes."""


OPTIONAL_INDEXES: Final[Mapping[str, IndexDefinition]] = MappingProxyType(
    {
        "phone_number": IndexDefinition(
            indexes={"users_phone_number": "(phone_number_hash) WHERE phone_number_hash IS NOT NULL"},
            keys=(StoredKey("phone_number_hash", "integer", "rollbook.phone_number_hash(value)", "a.phone_number"),),
        ),
        "prefix": IndexDefinition(
            indexes={
                "users_email_prefix": "(email_key, id) WHERE email_key IS NOT NULL",
                "users_name_prefix": "(name_key, id) WHERE name_key IS NOT NULL",
            },
            keys=(
                StoredKey("email_key", "text", "rollbook.email_key(value)", "a.email"),
                StoredKey("name_key", "text", "rollbook.name_key(value)", "a.name"),
            ),
        ),
        "created_at": IndexDefinition(
            indexes={"users_created_at": "(created_key, id) WHERE created_key IS NOT NULL"},
            keys=(StoredKey("created_key", "bigint", "rollbook.microseconds(value)", "a.created_at"),),
        ),
        # the value changes with every write, so that no update of a user is HOT any more
        "updated_at": IndexDefinition(
            indexes={
                "users_updated_at": "((CASE WHEN cluster_root IS NULL THEN last_stamp ELSE resolved_stamp END), id)"
            }
        ),
    }
)
"""By name: `phone_number` finds users by it, `prefix` by the beginning of their e-mail address or name, the others sort
them.
"""

# each schema has a key of its own
_LOCK: Final = "hashtextextended('rollbook.optional_indexes', 0)"
_IS_PARTITIONED: Final = "SELECT relkind = 'p' FROM pg_class WHERE oid = 'rollbook.users'::regclass"
_DROP: Final = SQL("DROP INDEX IF EXISTS rollbook.{}")
_DROP_CONCURRENTLY: Final = SQL("DROP INDEX CONCURRENTLY IF EXISTS rollbook.{}")
_IS_VALID: Final = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('rollbook.' || %s)"


def create_index(database_url: str, name: str, schema: str = DEFAULT_SCHEMA) -> bool:
    """Create one of `OPTIONAL_INDEXES`; False if it is there already. Workers go on meanwhile, except where the tables
    are partitioned: Postgres can then only build it under a lock.

    Raises:
        Unavailable: the database cannot be reached, another process creates or drops such an index, or the index could
            not be built. Trying again is safe, and goes on where it ended.
        NotConfigured: a connection pooler shares the sessions; this needs Postgres itself.
    """
    wanted = OPTIONAL_INDEXES[name]
    with _connect(database_url, schema) as connection:
        if all(_is_valid(connection, index) for index in wanted.indexes):
            return False
        fill_keys(connection, wanted.keys)
        for index, definition in wanted.indexes.items():
            if not _is_valid(connection, index):
                _drop(connection, index)  # an attempt that was interrupted may have left it
                connection.execute(_creation(connection, index, definition).encode())
        connection.execute("ANALYZE rollbook.users")
        return True


def drop_index(database_url: str, name: str, schema: str = DEFAULT_SCHEMA) -> None:
    """Drop one of `OPTIONAL_INDEXES`, if it is there.

    Raises:
        Unavailable: the database cannot be reached, another process creates or drops such an index, or the index could
            not be dropped. Trying again is safe.
        NotConfigured: as `create_index`.
    """
    unwanted = OPTIONAL_INDEXES[name]
    with _connect(database_url, schema) as connection:
        for index in unwanted.indexes:
            _drop(connection, index)
        clear_keys(connection, unwanted.keys)


def _is_valid(connection: psycopg.Connection, index: str) -> bool:
    return connection.execute(_IS_VALID, (index,)).fetchone() == (True,)


def _creation(connection: psycopg.Connection, index: str, definition: str) -> str:
    how = "" if _is_partitioned(connection) else "CONCURRENTLY "
    return f"CREATE INDEX {how}{index} ON rollbook.users {definition}"


def _drop(connection: psycopg.Connection, index: str) -> None:
    statement = _DROP if _is_partitioned(connection) else _DROP_CONCURRENTLY
    connection.execute(statement.format(Identifier(index)))


def _is_partitioned(connection: psycopg.Connection) -> bool:
    return connection.execute(_IS_PARTITIONED).fetchone() == (True,)


@contextmanager
def _connect(database_url: str, schema: str) -> Iterator[psycopg.Connection]:
    try:
        # without timeouts: an index takes as long as it takes
        session = make_session(database_url, application_name="rollbook migrate", schema=schema)
        with open_session(session, psycopg.Connection) as connection:
            # not waited for: an index that is built concurrently waits for all other statements, this one too
            if connection.execute(f"SELECT pg_try_advisory_lock({_LOCK})").fetchone() != (True,):
                raise Unavailable("another process is creating or dropping an optional index; try again later")
            yield connection
            # at once, and not when the server has noticed that the connection is closed
            connection.execute(f"SELECT pg_advisory_unlock({_LOCK})")
    except SharedSession as error:
        raise NotConfigured(f"the index could not be changed: {error}") from error
    except psycopg.OperationalError as error:
        raise Unavailable(f"the index could not be changed: {safe_reason(error)}") from error
