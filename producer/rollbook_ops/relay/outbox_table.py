"""The table `rollbook_outbox` in the application's database, and what the relay does with its rows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, NamedTuple

import psycopg
from psycopg import errors

from rollbook.outbox import create_table
from rollbook_shared.database.statements import load
from rollbook_shared.database.timeouts import connection_options, timeout_connection
from rollbook_shared.database.url import libpq_url, parse_database_url
from rollbook_shared.errors import NotConfigured, Unavailable
from rollbook_shared.jobs.celery_task import EncodedJob
from rollbook_shared.reasons import safe_reason

_SQL: Final = load("rollbook_ops.relay", "outbox")
_STATEMENT_TIMEOUT: Final = timedelta(seconds=30)
"""Each statement claims or updates some hundred rows. One that takes so long will not succeed."""
BATCH: Final = 500
BATCH_BYTES: Final = 8 * 1024 * 1024
"""A bulk job may have 25 MB; 500 of them would not fit in memory."""


class JobKey(NamedTuple):
    """Identifies a job: another job under the same id has another digest."""

    id: str
    digest: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class OutboxCounts:
    """The jobs in an outbox."""

    unsent: int
    unfinished: int
    most_attempts: int
    oldest_seconds: float | None


class OutboxTable:
    """The outbox of one database. For one thread."""

    def __init__(self, url: str) -> None:
        """Prepare to connect.

        Raises:
            NotConfigured: the URL is not one of Postgres.
        """
        parse_database_url(url, what="the outbox's URL")
        self._url = libpq_url(url)
        self._connection: psycopg.Connection | None = None

    @contextmanager
    def transaction(self) -> Iterator[psycopg.Cursor]:
        """Run a transaction. The rows that it claims stay claimed until its end.

        Raises:
            Unavailable: the database is not available, or the connection broke.
            NotConfigured: the table is missing, or the role may not use it.
        """
        try:
            connection = self._connected()
            with connection.transaction(), connection.cursor() as cursor:
                yield cursor
        except errors.UndefinedTable as error:
            raise NotConfigured("the table rollbook_outbox is missing; run `rollbook outbox create`") from error
        except errors.InsufficientPrivilege as error:
            raise NotConfigured("the outbox's role lacks rights that a relay needs; see deploy/roles.sql") from error
        # A primary that has become a standby reports this with an error class of its own.
        except (psycopg.OperationalError, psycopg.InterfaceError, errors.ReadOnlySqlTransaction) as error:
            self.close()
            raise Unavailable(f"the outbox's database is not available ({safe_reason(error)})") from error

    def create(self) -> None:
        """Create the table if it does not exist."""
        with self.transaction() as cursor:
            create_table(cursor.execute)

    def count(self) -> OutboxCounts:
        """Count the jobs."""
        with self.transaction() as cursor:
            row = cursor.execute(_SQL["count"]).fetchone()
            assert row is not None
            unsent, unfinished, attempts, age = row
        return OutboxCounts(unsent=unsent, unfinished=unfinished, most_attempts=attempts, oldest_seconds=age)

    def close(self) -> None:
        """Close the connection. A new one is opened when it is needed."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> psycopg.Connection:
        if self._connection is None or self._connection.closed:
            self._connection = timeout_connection(_STATEMENT_TIMEOUT).connect(
                autocommit=True,
                prepare_threshold=None,  # a connection pooler may not keep prepared statements
                **{"application_name": "rollbook relay", **connection_options(self._url, _STATEMENT_TIMEOUT)},
            )
        return self._connection


def claim_unsent(cursor: psycopg.Cursor, *, limit: int = BATCH) -> dict[JobKey, EncodedJob]:
    """Claim the jobs to send next."""
    cursor.execute(_SQL["claim_unsent"], {"limit": limit, "bytes": BATCH_BYTES})
    return {
        JobKey(id_, bytes(digest)): EncodedJob.from_stored(id=id_, kind=kind, body=body, trace=trace)
        for id_, digest, kind, body, trace in cursor
    }


def mark_sent(cursor: psycopg.Cursor, keys: Collection[JobKey], *, first_check: timedelta) -> None:
    """Record that the jobs were sent, and are to be checked after `first_check`."""
    cursor.execute(_SQL["mark_sent"], {**_columns(keys), "first_check": first_check.total_seconds()})


def claim_sent(cursor: psycopg.Cursor, *, limit: int = BATCH) -> list[JobKey]:
    """Claim the sent jobs to check next."""
    cursor.execute(_SQL["claim_sent"], {"limit": limit})
    return [JobKey(id_, bytes(digest)) for id_, digest in cursor]


def read_bodies(cursor: psycopg.Cursor, keys: Collection[JobKey]) -> dict[JobKey, str]:
    """Read the bodies of the jobs."""
    cursor.execute(_SQL["read_bodies"], _columns(keys))
    return {JobKey(id_, bytes(digest)): body for id_, digest, body in cursor}


def remove(cursor: psycopg.Cursor, keys: Collection[JobKey]) -> None:
    """Remove jobs that are finished."""
    cursor.execute(_SQL["remove"], _columns(keys))


def reschedule(cursor: psycopg.Cursor, keys: Collection[JobKey], *, first_check: timedelta, resend: timedelta) -> int:
    """Schedule the next check of jobs that are not finished; return how many are to be sent again."""
    times = {"first_check": first_check.total_seconds(), "resend": resend.total_seconds()}
    cursor.execute(_SQL["reschedule"], {**_columns(keys), **times})
    return sum(is_resent for (is_resent,) in cursor)


def _columns(keys: Collection[JobKey]) -> dict[str, Sequence[object]]:
    return {"ids": [key.id for key in keys], "digests": [key.digest for key in keys]}
