"""Runs work in transactions: again when another was in its way, and saying so when the database is not there."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TypeVar

import psycopg
from psycopg import Cursor
from psycopg.pq import TransactionStatus

from rollbook_worker.store.connections import Connections
from rollbook_worker.store.fact_writer import FamiliesNotHeld
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


class Transactions:
    """Transactions on one database. Threads may share it; each has a connection of its own."""

    def __init__(
        self,
        database_url: str,
        *,
        lock: timedelta,
        statement: timedelta,
        hindered: Callable[[Contention], None] = lambda by: None,
    ) -> None:
        """Prepare to connect. `lock` and `statement` bound the time that one lock and one statement may take;
        `hindered` is told when others are in the way.
        """
        self._hindered = hindered
        self._connections = Connections(database_url, lock=lock, statement=statement)

    def run(self, work: Callable[[Cursor, frozenset[str]], T]) -> T:
        """Do `work` in a transaction of its own. It is given the families that an earlier attempt found in its way.

        Raises:
            Unavailable: the infrastructure's fault, see `retrying`.
            HeldUp: the same, but other work may succeed: it took too long, or other transactions were in the way.
            Exception: the work's own fault; running it again would end the same.
        """
        heads: frozenset[str] = frozenset()
        for attempt in range(ATTEMPTS):
            try:
                with self._transaction() as cursor:
                    return work(cursor, heads)
            except FamiliesNotHeld as found:
                self._hindered(Contention.FAMILY)
                heads = found.heads
            except Exception as error:
                match fault_of(error):
                    case Fault.ANOTHERS:
                        self._hindered(Contention.DEADLOCK)
                        heads = frozenset()
                        time.sleep(pause_between_attempts(attempt))
                    case Fault.INFRASTRUCTURES:
                        if is_lock_timeout(error):
                            self._hindered(Contention.TIMEOUT)
                        raise unavailable(error) from error
                    case Fault.JOBS:
                        raise
        raise Blocked(f"{ATTEMPTS} attempts met other transactions in their way")

    def close(self) -> None:
        """Close this thread's connection."""
        self._connections.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[Cursor]:
        connection = self._connections.get()
        with connection.transaction(), connection.cursor() as cursor:
            yield cursor
            # Where something failed unnoticed, Postgres answers COMMIT by rolling back, and that is no error; where the
            # connection broke unnoticed, psycopg does not even ask.
            if connection.info.transaction_status is not TransactionStatus.INTRANS:
                raise NotCommittable


class NotCommittable(psycopg.OperationalError):
    """The transaction has failed, and nobody said so: its jobs must not be acknowledged."""

    def __init__(self) -> None:
        super().__init__("the transaction has failed")
