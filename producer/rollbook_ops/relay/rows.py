"""The relay's connection to the application's database, and what it does with the rows there."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, NamedTuple

import psycopg
from psycopg import conninfo, errors

from rollbook.outbox import create_table
from rollbook.publishing.encoded_job import EncodedJob
from rollbook_ops.relay import statements
from rollbook_shared.database.timeouts import connection_options, patient
from rollbook_shared.database.url import libpq_url
from rollbook_shared.errors import NotConfigured, Unavailable
from rollbook_shared.reasons import safe_reason

_STATEMENT: Final = timedelta(seconds=30)
"""Each takes or marks some hundred rows; one that takes so long waits for something that does not come."""
BATCH: Final = 500
BATCH_BYTES: Final = 8 * 1024 * 1024
"""A bulk job may have 25 MB by itself; 500 of them at once would be too many."""


class Key(NamedTuple):
    """Which job: another one under the same id has another digest."""

    id: str
    digest: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """How the outbox stands."""

    unsent: int
    unfinished: int
    most_attempts: int
    oldest_seconds: float | None


class Rows:
    """The outbox of one database. For one thread."""

    def __init__(self, url: str) -> None:
        """Prepare to connect.

        Raises:
            NotConfigured: this is no URL of a Postgres.
        """
        plain = libpq_url(url)
        try:
            conninfo.conninfo_to_dict(plain)
        except psycopg.ProgrammingError:
            raise NotConfigured("the outbox's URL must be like postgresql://user@127.0.0.1:5432/app") from None
        self._url = plain
        self._connection: psycopg.Connection | None = None

    @contextmanager
    def transaction(self) -> Iterator[psycopg.Cursor]:
        """Rows that are taken in it stay taken until its end.

        Raises:
            Unavailable: the database could not be reached, or the connection broke.
            NotConfigured: the table is not there, or may not be used.
        """
        try:
            connection = self._connected()
            with connection.transaction(), connection.cursor() as cursor:
                yield cursor
        except errors.UndefinedTable as error:
            raise NotConfigured("the table rollbook_outbox is missing; see `rollbook outbox create`") from error
        except errors.InsufficientPrivilege as error:
            raise NotConfigured("the outbox's role may not do what a relay does; see deploy/roles.sql") from error
        # a primary that has become a standby says what it is with an error of its own sort
        except (psycopg.OperationalError, psycopg.InterfaceError, errors.ReadOnlySqlTransaction) as error:
            self.close()
            raise Unavailable(f"the outbox's database is not available ({safe_reason(error)})") from error

    def create(self) -> None:
        """Make the table, unless it is there."""
        with self.transaction() as cursor:
            create_table(cursor.execute)

    def count(self) -> Counts:
        """How many jobs wait."""
        with self.transaction() as cursor:
            row = cursor.execute(statements.COUNT).fetchone()
            assert row is not None
            unsent, unfinished, attempts, age = row
        return Counts(unsent=unsent, unfinished=unfinished, most_attempts=attempts, oldest_seconds=age)

    def close(self) -> None:
        """Close the connection; a new one is opened when needed."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> psycopg.Connection:
        if self._connection is None or self._connection.closed:
            self._connection = patient(_STATEMENT).connect(
                autocommit=True,
                prepare_threshold=None,  # a pooler in between may not keep prepared statements
                **{"application_name": "rollbook relay", **connection_options(self._url, _STATEMENT)},
            )
        return self._connection


def take_unsent(cursor: psycopg.Cursor, *, limit: int = BATCH) -> dict[Key, EncodedJob]:
    """The jobs to send next."""
    cursor.execute(statements.TAKE_UNSENT, {"limit": limit, "bytes": BATCH_BYTES})
    return {
        Key(id_, bytes(digest)): EncodedJob.from_stored(id=id_, kind=kind, body=body, trace=trace)
        for id_, digest, kind, body, trace in cursor
    }


def mark_sent(cursor: psycopg.Cursor, keys: Collection[Key], *, look: timedelta) -> None:
    """They were sent; ask after them in `look`."""
    cursor.execute(statements.MARK_SENT, {**_columns(keys), "look": look.total_seconds()})


def take_sent(cursor: psycopg.Cursor, *, limit: int = BATCH) -> list[Key]:
    """The jobs to ask after next."""
    cursor.execute(statements.TAKE_SENT, {"limit": limit})
    return [Key(id_, bytes(digest)) for id_, digest in cursor]


def read_bodies(cursor: psycopg.Cursor, keys: Collection[Key]) -> dict[Key, str]:
    """The jobs themselves."""
    cursor.execute(statements.READ_BODIES, _columns(keys))
    return {Key(id_, bytes(digest)): body for id_, digest, body in cursor}


def delete(cursor: psycopg.Cursor, keys: Collection[Key]) -> None:
    """They are decided."""
    cursor.execute(statements.DELETE, _columns(keys))


def postpone(cursor: psycopg.Cursor, keys: Collection[Key], *, look: timedelta, resend: timedelta) -> int:
    """They are not decided; return how many are to be sent again."""
    times = {"look": look.total_seconds(), "resend": resend.total_seconds()}
    cursor.execute(statements.POSTPONE, {**_columns(keys), **times})
    return sum(again for (again,) in cursor)


def _columns(keys: Collection[Key]) -> dict[str, Sequence[object]]:
    return {"ids": [key.id for key in keys], "digests": [key.digest for key in keys]}
