"""Runs work in transactions: again if another transaction was in the way, and as `Unavailable` if Postgres is away."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final, LiteralString, TypeVar

import psycopg
from psycopg import Cursor
from psycopg.pq import TransactionStatus

from rollbook_shared.database.encoding import require_utf8
from rollbook_shared.database.failover import READ_ONLY_ERRORS, NewestTimeline
from rollbook_shared.database.schema import DEFAULT_SCHEMA
from rollbook_shared.database.session import make_session, open_session
from rollbook_shared.database.shared_sessions import begin, is_shared, transaction
from rollbook_shared.database.timeouts import timeout_connection
from rollbook_shared.errors import NotConfigured, Unavailable
from rollbook_worker.store.deliveries import DeliveryExists
from rollbook_worker.store.fact_writer import ClustersNotLocked
from rollbook_worker.store.kept_cursors import execute_kept
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

OnConnect = Callable[[psycopg.Connection], None]

APPLICATION_NAME: Final = "rollbook-worker"
# The clock goes with the first round trip. psycopg's own `transaction()` would need one more.
_MODES: Final = "ISOLATION LEVEL READ COMMITTED READ WRITE"
_CLOCK: Final = "SELECT (extract(epoch FROM transaction_timestamp()) * 1000000)::bigint"
_WAITS_FOR_REPLICA: Final = """
SELECT 1
FROM pg_stat_activity
WHERE pid = %s
    AND usename = current_user
    AND application_name = current_setting('application_name')
    AND wait_event = 'SyncRep'
"""
# Every statement here looks up a few rows by index. Plans are made while the tables are small (a fresh install), when
# reading all of a table seems cheap, and are kept when they have grown.
_POINT_LOOKUPS: Final = {"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off"}


class Transactions:
    """Transactions on one database. Threads may share it; each has a connection of its own."""

    def __init__(
        self,
        database_url: str,
        *,
        schema: str = DEFAULT_SCHEMA,
        lock: timedelta,
        statement: timedelta,
        on_connect: OnConnect = lambda connection: None,
        on_contention: Callable[[Contention], None] = lambda contention: None,
    ) -> None:
        """Prepare to connect. `schema` is that of the Rollbook; `lock` and `statement` bound how long one lock and one
        statement may take; `on_connect` is called with each new connection, and may reject it with `Unavailable`;
        `on_contention` is called each time that another transaction is in the way.
        """
        self._on_contention = on_contention
        self._connections = Connections(
            database_url, schema=schema, lock=lock, statement=statement, on_connect=on_connect
        )

    def run(self, work: Callable[[Cursor, int], T], *, now: int | None = None) -> T:
        """Do `work` in a transaction of its own, again if another transaction was in the way.

        It gets the time in microseconds since 1970, by Postgres' clock: the same for all processes, whatever the clocks
        of their machines say. `now` is a time to use instead.

        Raises:
            Unavailable: the infrastructure's fault, see `retry`.
            Blocked: the same, but other work may succeed: it took too long, or other transactions were in the way.
            Exception: the work's own fault; it would fail again.
        """
        return self.run_locking(lambda cursor, at, roots: work(cursor, at), now=now)

    def read_committed(self, work: Callable[[Cursor], T]) -> T:
        """Read what is committed, within a transaction of this thread whose own changes are not to be seen. Opens a
        connection each time.

        Raises:
            psycopg.Error: it is not possible.
        """
        with self._connections.open() as connection, transaction(connection), connection.cursor() as cursor:
            return work(cursor)

    def run_locking(self, work: Callable[[Cursor, int, frozenset[str]], T], *, now: int | None = None) -> T:
        """The same for work that writes facts: it also gets the clusters that an earlier attempt had not locked, to
        lock them first.
        """
        roots: frozenset[str] = frozenset()
        for attempt in range(ATTEMPTS):
            try:
                return self._run_once(work, now, roots)
            except ClustersNotLocked as error:
                self._on_contention(Contention.CLUSTER)
                roots = error.roots
            except DeliveryExists:
                pass  # the next attempt looks for deliveries
            except Exception as error:
                match fault_of(error):
                    case Fault.ANOTHER_TRANSACTION:
                        self._on_contention(Contention.DEADLOCK)
                        roots = frozenset()
                        time.sleep(pause_between_attempts(attempt))
                    case Fault.INFRASTRUCTURE:
                        if isinstance(error, READ_ONLY_ERRORS):
                            self._connections.close()  # the next one may find the primary
                        if is_lock_timeout(error):
                            self._on_contention(Contention.TIMEOUT)
                        raise unavailable(error) from error
                    case Fault.JOB:
                        raise
        raise Blocked(f"other transactions were in the way in {ATTEMPTS} attempts")

    def close(self) -> None:
        """Close this thread's connection."""
        self._connections.close()

    def _run_once(self, work: Callable[[Cursor, int, frozenset[str]], T], now: int | None, roots: frozenset[str]) -> T:
        connection = self._connections.get()
        try:
            # the cursor serves all statements of the work that have none of their own
            cursor = execute_kept(connection, self._connections.begin, prepare=False).set_result(-1)
            (time_there,) = cursor.fetchone() or (0,)
            result = work(cursor, time_there if now is None else now, roots)
            # If something failed unnoticed, Postgres answers COMMIT by rolling back, and that is no error; if the
            # connection broke unnoticed, psycopg does not even send it.
            if connection.info.transaction_status is not TransactionStatus.INTRANS:
                raise NotCommittable
            connection.commit()
            return result
        except BaseException:
            # where this fails, `Connections` replaces the connection
            with contextlib.suppress(psycopg.Error):
                connection.rollback()
            raise


class NotCommittable(psycopg.OperationalError):
    """The transaction has failed without an error: its jobs must not be acknowledged."""

    def __init__(self) -> None:
        super().__init__("the transaction has failed")


class Connections:
    """A connection for each thread, made when first needed, replaced when lost. They are in autocommit: transactions
    begin where the code says so.
    """

    def __init__(
        self,
        database_url: str,
        *,
        schema: str = DEFAULT_SCHEMA,
        lock: timedelta,
        statement: timedelta,
        on_connect: OnConnect = lambda connection: None,
    ) -> None:
        self._on_connect = on_connect
        self._newest_timeline = NewestTimeline()
        self._connection_class = timeout_connection(statement)
        self._session = make_session(
            database_url,
            application_name=APPLICATION_NAME,
            schema=schema,
            statement_timeout=statement,
            lock_timeout=lock,
            planner=_POINT_LOOKUPS,
        )
        self._local = threading.local()

    def get(self) -> psycopg.Connection:
        """This thread's connection, in no transaction; a new one if the last was lost.

        Raises:
            psycopg.OperationalError: the server cannot be reached.
            Unavailable: its database cannot hold every text, or the last connection's commit waits for a replica.
        """
        connection: psycopg.Connection | None = getattr(self._local, "connection", None)
        # if a transaction was left open, the next would be a part of it, and its own end would not commit it
        if connection is not None and connection.info.transaction_status is not TransactionStatus.IDLE:
            connection.close()
        if connection is None or connection.closed:
            connection = self.open()
            self._require_no_commit_before(connection)
            self._local.connection = connection
            self._local.process_id = connection.info.backend_pid
            self._local.begin = begin(connection, _MODES, _CLOCK)
        return connection

    def _require_no_commit_before(self, connection: psycopg.Connection) -> None:
        """Postgres does not notice that a client has left a commit that waits for a synchronous replica. With one more
        session at each try there would soon be none for anyone else.
        """
        process_id: int | None = getattr(self._local, "process_id", None)
        if process_id is None or is_shared(connection):  # of a shared session the process is not known
            return
        try:
            if connection.execute(_WAITS_FOR_REPLICA, (process_id,)).fetchone():
                raise Unavailable("an earlier commit still waits for a synchronous replica")
        except BaseException:
            connection.close()
            raise

    @property
    def begin(self) -> LiteralString | bytes:
        """The statements that begin a transaction on this thread's connection; the last of them reads the clock."""
        begin_: LiteralString | bytes = self._local.begin
        return begin_

    def open(self) -> psycopg.Connection:
        """A connection of its own, which the caller closes.

        Raises:
            psycopg.OperationalError: the server cannot be reached.
            Unavailable: its database cannot hold every text.
        """
        connection = open_session(self._session, self._connection_class)
        try:
            require_utf8(connection)
            with transaction(connection):
                self._newest_timeline.require(connection)
            self._on_connect(connection)
        except NotConfigured as error:  # no fault of the jobs, which must wait
            raise Unavailable(str(error)) from error
        except BaseException:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        """Close this thread's connection."""
        connection: psycopg.Connection | None = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None
