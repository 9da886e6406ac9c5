"""The table `rollbook_outbox` in the application's database, and what the relay does with its rows.

The table is in a schema of the application's, to which the search path of the role, the database or the URL leads. It
is looked up once a connection. From then on the connection's search path is ours, and statements name the schema: what
others create in that schema, such as an operator, is not used.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, LiteralString

import psycopg
from psycopg import errors
from psycopg.sql import SQL, Composed, Identifier

from rollbook.outbox import create_table
from rollbook_ops.relay.job_key import JobKey
from rollbook_ops.relay.reconciliation import SentRow
from rollbook_shared.backoff import Backoff
from rollbook_shared.database.failover import READ_ONLY_ERRORS, NewestTimeline
from rollbook_shared.database.schema import DEFAULT_SCHEMA, outbox_name
from rollbook_shared.database.session import SEARCH_PATH, make_session, open_session
from rollbook_shared.database.shared_sessions import is_shared, transaction
from rollbook_shared.database.statements import load
from rollbook_shared.database.timeouts import timeout_connection
from rollbook_shared.database.url import parse_database_url
from rollbook_shared.errors import NotConfigured, Unavailable
from rollbook_shared.jobs.celery_task import EncodedJob
from rollbook_shared.reasons import safe_reason

_SQL: Final = load("rollbook_ops.relay", "outbox")
_STATEMENT_TIMEOUT: Final = timedelta(seconds=30)
"""Each statement claims or updates some hundred rows. One that takes so long will not succeed."""
_MODES: Final = "ISOLATION LEVEL READ COMMITTED READ WRITE"
# It runs under the application's search path, so each name and operator says where it is.
_FIND: Final = """
SELECT schema.nspname, class.relname
FROM pg_catalog.pg_class AS class
JOIN pg_catalog.pg_namespace AS schema ON schema.oid OPERATOR(pg_catalog.=) class.relnamespace
WHERE class.oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(pg_catalog.quote_ident(%s::pg_catalog.text))
"""
BATCH: Final = 500
BATCH_BYTES: Final = 8 * 1024 * 1024
"""A bulk job may have 25 MB; 500 of them would not fit in memory."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OutboxCounts:
    """The jobs in an outbox."""

    unsent: int
    unsendable: int
    """Those that the broker did not accept although it accepted others."""
    unfinished: int
    kept: int
    """Finished, and kept for a while."""
    most_attempts: int
    """Of those that are not finished, as is the oldest."""
    oldest_seconds: float | None
    oldest_unsendable_seconds: float | None


class OutboxTable:
    """The outbox of one database. For one thread."""

    def __init__(self, url: str, schema: str = DEFAULT_SCHEMA) -> None:
        """Prepare to connect.

        schema: of the Rollbook for which the jobs are.

        Raises:
            NotConfigured: the URL is not one of Postgres.
        """
        parse_database_url(url, what="the outbox's URL")
        self._session = make_session(
            url,
            application_name="rollbook relay",
            schema=schema,
            statement_timeout=_STATEMENT_TIMEOUT,
            uses_own_search_path=True,
        )
        self._schema = schema
        self._name = outbox_name(schema)
        self._newest_timeline = NewestTimeline()
        self._connection: psycopg.Connection | None = None
        self._statements: dict[str, Composed] = {}

    @contextmanager
    def transaction(self, modes: LiteralString = _MODES) -> Iterator[OutboxTransaction]:
        """Run a transaction. The rows that it claims stay claimed until its end.

        modes: those of the transaction; see `rollbook_shared.database.shared_sessions`.

        Raises:
            Unavailable: the database is not available, or the connection broke.
            NotConfigured: the table is missing, or the role may not use it.
        """
        with self._errors():
            connection = self._connected()
            with transaction(connection, modes), connection.cursor() as cursor:
                if is_shared(connection):
                    use_our_search_path(connection)
                yield OutboxTransaction(cursor, self._statements)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except errors.UndefinedTable as error:
            self.close()  # it may be in another schema now
            raise self._missing() from error
        except errors.UndefinedColumn as error:
            raise NotConfigured(
                f"the table {self._name} is from an earlier version; run `rollbook outbox create`"
            ) from error
        except errors.InsufficientPrivilege as error:
            raise NotConfigured("the outbox's role lacks rights that a relay needs; see deploy/roles.sql") from error
        except READ_ONLY_ERRORS as error:
            self.close()
            raise Unavailable("the outbox's database is read-only, as a replica is") from error
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            self.close()
            raise Unavailable(f"the outbox's database is not available ({safe_reason(error)})") from error

    def create(self) -> None:
        """Create the table if it does not exist, in the first schema of the search path."""
        with self._errors(), self._open() as connection, transaction(connection, _MODES):
            create_table(lambda statement: connection.execute(statement.encode()), rollbook_schema=self._schema)

    def count(self) -> OutboxCounts:
        """Count the jobs."""
        with self.transaction("ISOLATION LEVEL READ COMMITTED READ ONLY") as outbox:
            return outbox.count()

    def close(self) -> None:
        """Close the connection. A new one is opened when it is needed."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> psycopg.Connection:
        if self._connection is None or self._connection.closed:
            self._connection = connection = self._open()
            try:
                with transaction(connection):
                    table = find_outbox(connection, self._name)
                    self._newest_timeline.require(connection)
            except BaseException:
                self.close()
                raise
            if table is None:
                self.close()
                raise self._missing()
            self._statements = {name: SQL(statement).format(outbox=table) for name, statement in _SQL.items()}
        return self._connection

    def _missing(self) -> NotConfigured:
        return NotConfigured(f"the table {self._name} is missing; run `rollbook outbox create`")

    def _open(self) -> psycopg.Connection:
        return open_session(self._session, timeout_connection(_STATEMENT_TIMEOUT))


def find_outbox(connection: psycopg.Connection, name: str) -> Identifier | None:
    """The table of this name with its schema, if there is one on the connection's search path. That becomes ours: where
    a pooler shares the session, until the transaction ends, which the connection must be in.
    """
    found = connection.execute(_FIND, (name,)).fetchone()
    use_our_search_path(connection)
    return Identifier(*found) if found else None


def use_our_search_path(connection: psycopg.Connection) -> None:
    """Use it for the rest of the connection's session, or of its transaction where a pooler shares the session."""
    parameters = (SEARCH_PATH, is_shared(connection))
    connection.execute("SELECT pg_catalog.set_config('search_path', %s, %s)", parameters)


class OutboxTransaction:
    """What the relay does in one transaction. What it claims stays claimed until its end."""

    def __init__(self, cursor: psycopg.Cursor, statements: Mapping[str, Composed]) -> None:
        self.cursor = cursor
        self._statements = statements

    def claim_unsent(self, *, limit: int = BATCH) -> dict[JobKey, EncodedJob]:
        """Claim the jobs to send next."""
        self.cursor.execute(self._statements["claim_unsent"], {"limit": limit, "bytes": BATCH_BYTES})
        return {
            JobKey(id_, bytes(digest)): EncodedJob.from_stored(id=id_, kind=kind, body=body, trace=trace)
            for id_, digest, kind, body, trace in self.cursor
        }

    def mark_sent(self, keys: Collection[JobKey], *, first_check: timedelta) -> None:
        """Record that the jobs were sent, and are to be checked after `first_check`."""
        parameters = {**_columns(keys), "first_check": first_check.total_seconds()}
        self.cursor.execute(self._statements["mark_sent"], parameters)

    def mark_unsendable(self, keys: Collection[JobKey], backoff: Backoff) -> None:
        """Record that the jobs could not be sent, and are to be tried again after a backoff."""
        self.cursor.execute(self._statements["select_attempts"], _columns(keys))
        attempts = {JobKey(id_, bytes(digest)): tried for id_, digest, tried in self.cursor}
        delays = [backoff.delay(attempts[key]) for key in keys]
        self.cursor.execute(self._statements["mark_unsendable"], {**_columns(keys), "delays": delays})

    def claim_sent(self, *, limit: int = BATCH) -> dict[JobKey, SentRow]:
        """Claim the sent jobs to check next."""
        self.cursor.execute(self._statements["claim_sent"], {"limit": limit})
        return {
            JobKey(id_, bytes(digest)): SentRow(is_finished=is_finished, dead_on=dead_on)
            for id_, digest, is_finished, dead_on in self.cursor
        }

    def read_bodies(self, keys: Collection[JobKey]) -> dict[JobKey, str]:
        """Read the bodies of the jobs."""
        self.cursor.execute(self._statements["read_bodies"], _columns(keys))
        return {JobKey(id_, bytes(digest)): body for id_, digest, body in self.cursor}

    def keep(self, jobs: Mapping[JobKey, int | None], *, keep: timedelta) -> None:
        """Record that jobs are finished, and are to be checked once more after `keep`; with the timeline, if dead."""
        parameters = {**_columns(jobs), "timelines": list(jobs.values()), "keep": keep.total_seconds()}
        self.cursor.execute(self._statements["keep"], parameters)

    def send_again(self, keys: Collection[JobKey]) -> None:
        """Have jobs sent again that were finished and are not any more."""
        self.cursor.execute(self._statements["send_again"], _columns(keys))

    def remove(self, keys: Collection[JobKey]) -> None:
        """Remove jobs that are finished."""
        self.cursor.execute(self._statements["remove"], _columns(keys))

    def reschedule(self, keys: Collection[JobKey], *, first_check: timedelta, resend: timedelta) -> int:
        """Schedule the next check of jobs that are not finished; return how many are to be sent again."""
        times = {"first_check": first_check.total_seconds(), "resend": resend.total_seconds()}
        self.cursor.execute(self._statements["reschedule"], {**_columns(keys), **times})
        return sum(is_resent for (is_resent,) in self.cursor)

    def count(self) -> OutboxCounts:
        """Count the jobs."""
        row = self.cursor.execute(self._statements["count"]).fetchone()
        assert row is not None
        unsent, unsendable, unfinished, kept, attempts, age, unsendable_age = row
        return OutboxCounts(
            unsent=unsent,
            unsendable=unsendable,
            unfinished=unfinished,
            kept=kept,
            most_attempts=attempts,
            oldest_seconds=age,
            oldest_unsendable_seconds=unsendable_age,
        )


def _columns(keys: Collection[JobKey]) -> dict[str, Sequence[object]]:
    return {"ids": [key.id for key in keys], "digests": [key.digest for key in keys]}
