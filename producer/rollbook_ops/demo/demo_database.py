"""The demo's own way to Postgres, other than the client's: over SQLAlchemy, with the metadata of the tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import psycopg
from sqlalchemy import Connection, create_engine

from rollbook_shared.database.schema import DEFAULT_SCHEMA
from rollbook_shared.database.session import make_session, open_session


class DemoDatabase:
    """One Postgres."""

    def __init__(self, url: str, schema: str = DEFAULT_SCHEMA) -> None:
        session = make_session(url, application_name="rollbook demo", schema=schema, is_read_only=True)

        def connect() -> psycopg.Connection[Any]:
            return open_session(session, psycopg.Connection, autocommit=False)

        self.url = url
        self._engine = create_engine("postgresql+psycopg://", creator=connect)

    @contextmanager
    def connect(self, isolation: Literal["AUTOCOMMIT", "REPEATABLE READ"] = "AUTOCOMMIT") -> Iterator[Connection]:
        """A connection for a few statements; with `REPEATABLE READ` all of them see the same snapshot."""
        with self._engine.connect() as connection:
            yield connection.execution_options(isolation_level=isolation)

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()
