"""Runs work in transactions: again if another transaction was in the way, and as `Unavailable` if Postgres is away."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Final, TypeVar

import psycopg
from psycopg import Cursor
from psycopg.pq import TransactionStatus
from psycopg.types.json import set_json_loads
from pydantic_core import from_json

from rollbook_shared.database.timeouts import connection_options, timeout_connection
from rollbook_worker.store.fact_writer import ClustersNotLocked
from rollbook_worker.store.retry import (
    ATTEMPTS,
    Blocked,
    Contention,
    Fault,
    fault_of,
    is_lock_timeout,
    pause_between_attempts,
    unavailable,
)

T = TypeVar("T")

APPLICATION_NAME: Final = "rollbook-worker"
# Every statement here looks up a few rows by index. Plans are made while the tables are small (a fresh install), when
# reading all of a table seems cheap, and are kept when they have grown.
_POINT_LOOKUPS: Final = "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off"


class Transactions:
    """Transactions on one database. Threads may share it; each has a connection of its own."""

    def __init__(
        self,
        database_url: str,
        *,
        lock: timedelta,
        statement: timedelta,
        on_contention: Callable[[Contention], None] = lambda contention: None,
    ) -> None:
        """Prepare to connect. `lock` and `statement` bound how long one lock and one statement may take;
        `on_contention` is called each time that another transaction is in the way.
        """
        self._on_contention = on_contention
        self._connections = Connections(database_url, lock=lock, statement=statement)

    def run(self, work: Callable[[Cursor], T]) -> T:
        """Do `work` in a transaction of its own, again if another transaction was in the way.

        Raises:
            Unavailable: the infrastructure's fault, see `retry`.
            Blocked: the same, but other work may succeed: it took too long, or other transactions were in the way.
            Exception: the work's own fault; it would fail again.
        """
        return self.run_locking(lambda cursor, roots: work(cursor))

    def run_locking(self, work: Callable[[Cursor, frozenset[str]], T]) -> T:
        """The same for work that writes facts: it also gets the clusters that an earlier attempt had not locked, to
        lock them first.
        """
        roots: frozenset[str] = frozenset()
        for attempt in range(ATTEMPTS):
            try:
                with self._transaction() as cursor:
                    return work(cursor, roots)
            except ClustersNotLocked as error:
                self._on_contention(Contention.CLUSTER)
                roots = error.roots
            except Exception as error:
                match fault_of(error):
                    case Fault.ANOTHER_TRANSACTION:
                        self._on_contention(Contention.DEADLOCK)
                        roots = frozenset()
                        time.sleep(pause_between_attempts(attempt))
                    case Fault.INFRASTRUCTURE:
                        if is_lock_timeout(error):
                            self._on_contention(Contention.TIMEOUT)
                        raise unavailable(error) from error
                    case Fault.JOB:
                        raise
        raise Blocked(f"other transactions were in the way in {ATTEMPTS} attempts")

    def close(self) -> None:
        """Close this thread's connection."""
        self._connections.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[Cursor]:
        connection = self._connections.get()
        with connection.transaction(), connection.cursor() as cursor:
            yield cursor
            # If something failed unnoticed, Postgres answers COMMIT by rolling back, and that is no error; if the
            # connection broke unnoticed, psycopg does not even send it.
            if connection.info.transaction_status is not TransactionStatus.INTRANS:
                raise NotCommittable


class NotCommittable(psycopg.OperationalError):
    """The transaction has failed without an error: its jobs must not be acknowledged."""

    def __init__(self) -> None:
        super().__init__("the transaction has failed")


class Connections:
    """A connection for each thread, made when first needed, replaced when lost. They are in autocommit: transactions
    begin where the code says so.
    """

    def __init__(self, database_url: str, *, lock: timedelta, statement: timedelta) -> None:
        connection_class = timeout_connection(statement)
        options = {"application_name": APPLICATION_NAME, **connection_options(database_url, statement, lock)}
        # not functools.partial: it shows its arguments, and the password among them
        self._connect: Callable[[], psycopg.Connection] = lambda: connection_class.connect(autocommit=True, **options)
        self._local = threading.local()

    def get(self) -> psycopg.Connection:
        """This thread's connection, in no transaction; a new one if the last was lost.

        Raises:
            psycopg.OperationalError: the server cannot be reached.
        """
        connection: psycopg.Connection | None = getattr(self._local, "connection", None)
        # if a transaction was left open, the next would be a part of it, and its own end would not commit it
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
