"""Runs queries on Postgres, over a pool of connections that is never shared with a forked child.

A connection opens when a query first needs one. Statements, answers and waits for a connection have timeouts. Nothing
here needs SQLAlchemy, which would take longer to import than all else that a read needs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final, TypeVar

import psycopg
from psycopg import IsolationLevel
from psycopg.rows import dict_row

from rollbook.connection_pool import Connection, ConnectionPool
from rollbook.queries import Query
from rollbook.queries.query import Isolation, Rows, Statement
from rollbook_shared.database.encoding import require_utf8
from rollbook_shared.database.timeouts import connection_options, timeout_connection
from rollbook_shared.errors import NotConfigured, Unavailable
from rollbook_shared.reasons import safe_reason

T = TypeVar("T")

_TIMEOUT: Final = timedelta(seconds=30)
_NOT_CONFIGURED: Final = {
    "42P01": "the database has no tables of Rollbook yet; run `rollbook migrate`",
    "42501": "the role in the database's URL may not do this; see deploy/roles.sql",
    "25006": "this Postgres is read-only, as a replica is; cancel and drop need the primary's URL",
}
"""What an operator must fix, by Postgres' error code."""


class Database:
    """One Postgres. It runs queries, and lends connections to code that has statements of its own."""

    def __init__(self, url: str, timeout: timedelta = _TIMEOUT) -> None:
        """Prepare the pool; nothing is connected yet.

        timeout: how long a statement may take.

        Raises:
            NotConfigured: this is no URL of a Postgres.
        """
        options: dict[str, Any] = {"application_name": "rollbook", **connection_options(url, timeout)}
        connection_class = timeout_connection(timeout)

        def connect() -> Connection:
            connection = connection_class.connect(autocommit=True, **options)
            require_utf8(connection)
            return connection

        self._pool = ConnectionPool(connect)

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
                    statement = steps.send(_rows(connection, statement))
            except StopIteration as end:
                result: T = end.value
                return result

    @contextmanager
    def connect(self, isolation: Isolation = "AUTOCOMMIT", *, readonly: bool = True) -> Iterator[Connection]:
        """A connection for a few statements; with `REPEATABLE READ` all of them see the same snapshot.

        readonly: Postgres refuses every write of a snapshot. Code that means to write passes False.

        Raises:
            Unavailable: Postgres could not be reached or took too long, the connection broke, or all connections of
                the pool were in use.
            NotConfigured: the tables of Rollbook are missing, or the role in the URL may not do this.
        """
        broken = False
        try:
            with self._pool.lend() as connection:
                try:
                    if isolation == "AUTOCOMMIT":
                        yield connection
                    else:
                        connection.isolation_level = IsolationLevel.REPEATABLE_READ
                        connection.read_only = readonly
                        with connection.transaction():
                            yield connection
                finally:
                    broken = connection.broken
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise Unavailable(f"the database could not be reached or did not answer: {safe_reason(error)}") from error
        except psycopg.Error as error:
            if (what := _NOT_CONFIGURED.get(error.sqlstate or "")) is not None:
                raise NotConfigured(what) from error
            if not broken:
                raise
            raise Unavailable("the connection to the database broke") from error

    def close(self) -> None:
        """Close the connections that are not in use; new ones open when needed."""
        self._pool.close()


def _rows(connection: Connection, statement: Statement) -> Rows:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(statement.sql.encode(), dict(statement.parameters)).fetchall()
