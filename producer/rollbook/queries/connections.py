"""The connections to Postgres: made when first needed, bounded in their waiting, never shared with a forked child."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from rollbook.at_fork import reset_after_fork
from rollbook_shared.database.timeouts import connection_options, patient
from rollbook_shared.errors import NotConfigured, Unavailable
from rollbook_shared.reasons import safe_reason

_TIMEOUT: Final = timedelta(seconds=30)
_POOL_SECONDS: Final = 10
_NOT_CONFIGURED: Final = {
    "42P01": "the database has no tables of Rollbook yet; run `rollbook migrate`",
    "42501": "the role in the database's URL may not do this; see deploy/roles.sql",
    "25006": "this Postgres only reads, as a replica does; cancel and drop need the primary's URL",
}
"""What an operator has to see to, by Postgres' code."""


class Database:
    """Lends connections to one Postgres, whose statements may take as long as `timeout`."""

    def __init__(self, url: str, timeout: timedelta = _TIMEOUT) -> None:
        self._timeout = timeout
        try:
            self._url = make_url(url).set(drivername="postgresql+psycopg")
            scheme = make_url(url).get_backend_name()
        except (ArgumentError, ValueError):
            scheme = ""
        if scheme not in ("postgresql", "postgres"):
            raise NotConfigured(
                "the database's URL cannot be used; it must be like postgresql://user@127.0.0.1:5432/app"
            )
        self._lock = threading.Lock()
        self._engine = self._open()
        reset_after_fork(self)

    @contextmanager
    def connect(self, isolation: str = "AUTOCOMMIT", *, readonly: bool = True) -> Iterator[Connection]:
        """A connection for a few questions. With `REPEATABLE READ` all of them see the same moment. Nothing can be
        written by mistake: who means to write says `readonly=False`.

        Raises:
            Unavailable: Postgres could not be reached, took too long, or the connection broke.
            NotConfigured: Rollbook's tables are not there, or the role in the URL may not do this.
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
        """Close the connections that nobody uses; new ones are opened when needed."""
        self._engine.dispose()

    def drop_inherited_connections(self) -> None:
        # close=False: closing a socket here would say goodbye to the server in the parent's name
        self._engine.dispose(close=False)

    def _open(self) -> Engine:
        engine = create_engine(
            self._url,
            pool_pre_ping=True,
            pool_timeout=_POOL_SECONDS,
            hide_parameters=True,  # ids and filters are personal data, and errors are logged
        )
        kind = patient(self._timeout)
        plain = self._url.set(drivername="postgresql").render_as_string(hide_password=False)
        options = {"application_name": "rollbook", **connection_options(plain, self._timeout)}

        @event.listens_for(engine, "do_connect")
        def connect(dialect: Any, record: Any, arguments: Any, parameters: dict[str, Any]) -> Any:
            return kind.connect(*arguments, **{**parameters, **options})

        return engine
