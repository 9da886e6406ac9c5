"""Connections to Postgres: one a thread, made when first needed, replaced when lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.types.json import set_json_loads
from pydantic_core import from_json

from rollbook_shared.database.timeouts import connection_options, patient

APPLICATION_NAME = "rollbook-worker"
# Every statement here looks up a few rows by index. Plans are made while the tables are small (a fresh install), when
# reading all of a table seems cheap, and are kept when they have grown.
_POINT_LOOKUPS = "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off"


def sqlalchemy_url(database_url: str) -> str:
    """The URL with psycopg 3 named as the driver."""
    for scheme in ("postgresql://", "postgres://"):
        if database_url.startswith(scheme):
            return "postgresql+psycopg://" + database_url.removeprefix(scheme)
    return database_url


def libpq_url(database_url: str) -> str:
    """The URL without SQLAlchemy's driver name."""
    return database_url.replace("postgresql+psycopg://", "postgresql://", 1)


class Connections:
    """A connection for each thread, in autocommit: transactions are opened where they are meant."""

    def __init__(self, database_url: str, *, lock: timedelta, statement: timedelta) -> None:
        url = libpq_url(database_url)
        kind = patient(statement)
        options = {"application_name": APPLICATION_NAME, **connection_options(url, statement, lock)}
        # not functools.partial: it shows its arguments, and the password among them
        self._connect: Callable[[], psycopg.Connection] = lambda: kind.connect(autocommit=True, **options)
        self._local = threading.local()

    def get(self) -> psycopg.Connection:
        """This thread's connection, in no transaction; a new one if the last was lost.

        Raises:
            psycopg.OperationalError: the server cannot be reached.
        """
        connection: psycopg.Connection | None = getattr(self._local, "connection", None)
        # in a transaction that was left open the next would be a part of it, and not committed by its own end
        if connection is not None and connection.info.transaction_status is not TransactionStatus.IDLE:
            connection.close()
        if connection is None or connection.closed:
            connection = self._connect()
            connection.execute(_POINT_LOOKUPS)
            set_json_loads(from_json, connection)  # in half the time of Python's own
            self._local.connection = connection
        return connection

    def close(self) -> None:
        """Close this thread's connection."""
        connection: psycopg.Connection | None = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None
