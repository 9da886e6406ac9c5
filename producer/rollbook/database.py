"""Runs queries on Postgres, over a pool of connections that is never shared with a forked child.

A connection opens when a query first needs one. Statements, answers and waits for a connection have timeouts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final, TypeVar, cast

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from rollbook.at_fork import reset_after_fork
from rollbook.queries import Query
from rollbook.queries.query import Isolation, Rows, Statement
from rollbook_shared.database.encoding import require_utf8
from rollbook_shared.database.timeouts import connection_options, timeout_connection
from rollbook_shared.errors import NotConfigured, Unavailable
from rollbook_shared.reasons import safe_reason

T = TypeVar("T")

_TIMEOUT: Final = timedelta(seconds=30)
_POOL_SECONDS: Final = 10
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
        self._timeout = timeout
        self._options = {"application_name": "rollbook", **connection_options(url, timeout)}
        self._engine = self._open()
        reset_after_fork(self)

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

        readonly: Postgres refuses every write. Code that means to write passes False.

        Raises:
            Unavailable: Postgres could not be reached or took too long, or the connection broke.
            NotConfigured: the tables of Rollbook are missing, or the role in the URL may not do this.
        """
        try:
            with self._engine.connect() as connection:
                yield connection.execution_options(isolation_level=isolation, postgresql_readonly=readonly)
        except (OperationalError, InterfaceError, PoolTimeout) as error:
            raise Unavailable(f"the database could not be reached or did not answer: {safe_reason(error)}") from error
        except DBAPIError as error:
            if (what := _NOT_CONFIGURED.get(getattr(error.orig, "sqlstate", None) or "")) is not None:
                raise NotConfigured(what) from error
            if not error.connection_invalidated:
                raise
            raise Unavailable("the connection to the database broke") from error

    def close(self) -> None:
        """Close the connections that are not in use; new ones open when needed."""
        self._engine.dispose()

    def drop_inherited_connections(self) -> None:
        # close=False: closing a socket here would end the parent's session on the server
        self._engine.dispose(close=False)

    def _open(self) -> Engine:
        engine = create_engine(
            "postgresql+psycopg://",  # libpq reads the URL, as in every other process
            pool_pre_ping=True,
            pool_timeout=_POOL_SECONDS,
            hide_parameters=True,  # ids and filters are personal data, and errors are logged
        )
        connection_class = timeout_connection(self._timeout)

        @event.listens_for(engine, "do_connect")
        def connect(dialect: Any, record: Any, arguments: Any, parameters: dict[str, Any]) -> Any:
            connection = connection_class.connect(**self._options)
            require_utf8(connection)
            return connection

        return engine


def _rows(connection: Connection, statement: Statement) -> Rows:
    rows = connection.exec_driver_sql(statement.sql, dict(statement.parameters)).mappings().all()
    return cast(Rows, rows)  # SQLAlchemy's rows could be read by column objects too, which nothing here does
