"""Runs queries on Postgres, over a pool of connections that is never shared with a forked child.

A connection opens when a query first needs one. Statements, answers and waits for a connection have timeouts. Nothing
here needs SQLAlchemy, which would take longer to import than all else that a read needs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final, LiteralString, TypeVar

import psycopg
from psycopg.rows import dict_row

from rollbook.connection_pool import Connection, ConnectionPool
from rollbook.database_failures import failure_of
from rollbook.numbered_parameters import numbered
from rollbook_shared.database.encoding import require_utf8
from rollbook_shared.database.failover import READ_ONLY_ERRORS, looks_for_primary
from rollbook_shared.database.schema import DEFAULT_SCHEMA
from rollbook_shared.database.session import Session, make_session, open_session
from rollbook_shared.database.shared_sessions import transaction
from rollbook_shared.database.timeouts import timeout_connection
from rollbook_shared.limits import PoolLimits

if TYPE_CHECKING:
    from rollbook.queries import Query
    from rollbook.queries.query import Isolation, Rows, Statement

T = TypeVar("T")

PLANNER: Final[Mapping[str, str]] = {"enable_seqscan": "off"}
"""For reads: each finds its rows by an index. Postgres would read an empty month of the history as a whole, which is
nearly free, and then sort all messages of a user, because it expects few, where an index has them in order."""
_TIMEOUT: Final = timedelta(seconds=30)
_POOL: Final = PoolLimits()
_ISOLATION: Final[Mapping[Isolation, LiteralString]] = {
    "AUTOCOMMIT": "ISOLATION LEVEL READ COMMITTED",
    "REPEATABLE READ": "ISOLATION LEVEL REPEATABLE READ",
}


class Database:
    """One Postgres. It runs queries, and lends connections to code that has statements of its own."""

    def __init__(
        self, url: str, timeout: timedelta = _TIMEOUT, pool: PoolLimits = _POOL, schema: str = DEFAULT_SCHEMA
    ) -> None:
        """Prepare the pool; nothing is connected yet.

        timeout: how long a statement may take.
        pool: how many connections there may be.
        schema: of the Rollbook.

        Raises:
            NotConfigured: this is no URL of a Postgres, or no name of a schema.
        """
        session = reading_session(url, schema, timeout)
        connection_class = timeout_connection(timeout)

        def connect() -> Connection:
            connection = open_session(session, connection_class)
            require_utf8(connection)
            return connection

        self._pool = ConnectionPool(connect, pool)
        self._schema = schema
        self._looks_for_primary = looks_for_primary(session.parameters)

    def run(self, query: Query[T]) -> T:
        """The result of the query, or what the query raises.

        Raises:
            Unavailable, NotConfigured: as `connect`.
        """
        with self.connect(query.isolation, readonly=not query.writes) as connection:
            steps = query.steps()
            try:
                statement = next(steps)
                while True:
                    statement = steps.send(_rows(connection, statement, self._schema))
            except StopIteration as end:
                result: T = end.value
                return result

    @contextmanager
    def connect(self, isolation: Isolation = "AUTOCOMMIT", *, readonly: bool = True) -> Iterator[Connection]:
        """A connection for a few statements; with `REPEATABLE READ` all of them see the same snapshot.

        readonly: Postgres refuses every write. With False the statements are one transaction, which may write.

        Raises:
            Unavailable: Postgres could not be reached or took too long, the connection broke, or all connections of
                the pool were in use.
            NotConfigured: the tables of Rollbook are missing, or the role in the URL may not do this.
        """
        broken = False
        try:
            with self._pool.lend() as connection:
                try:
                    if isolation == "AUTOCOMMIT" and readonly and connection.local_settings is None:
                        yield connection
                    else:
                        with transaction(connection, modes(isolation, readonly=readonly)):
                            yield connection
                except READ_ONLY_ERRORS:
                    connection.close()
                    raise
                finally:
                    broken = connection.broken
        except psycopg.Error as error:
            if (failure := failure_of(error, broken=broken, looks_for_primary=self._looks_for_primary)) is None:
                raise
            raise failure from error

    def close(self) -> None:
        """Close the connections that are not in use; new ones open when needed."""
        self._pool.close()


def reading_session(url: str, schema: str, timeout: timedelta) -> Session:
    """The session of a client that reads, whether or not it is asynchronous.

    Raises:
        NotConfigured: this is no URL of a Postgres, or no name of a schema.
    """
    return make_session(
        url,
        application_name="rollbook",
        schema=schema,
        statement_timeout=timeout,
        is_read_only=True,
        planner=PLANNER,
    )


def modes(isolation: Isolation, *, readonly: bool) -> LiteralString:
    """Those of the transaction that a write gets, or a snapshot; behind a pooler every read."""
    return f"{_ISOLATION[isolation]} {'READ ONLY' if readonly else 'READ WRITE'}"


def _rows(connection: Connection, statement: Statement, schema: str) -> Rows:
    text, names = numbered(statement.sql, schema)
    with psycopg.RawCursor(connection, row_factory=dict_row) as cursor:
        return cursor.execute(text, [statement.parameters[name] for name in names]).fetchall()
