"""Runs work in transactions: again when another was in its way, and saying so when the database is not there."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterator
from typing import Final, TypeVar

import psycopg
from psycopg import Cursor, errors

from rollcall_shared.errors import Unavailable
from rollcall_worker.store.connecting import Connections
from rollcall_worker.store.transaction import FamiliesNotHeld

TOO_MUCH: Final = (psycopg.DataError, errors.ProgramLimitExceeded)
"""What Postgres says of a value that it cannot hold."""
_IN_THE_WAY: Final = (errors.DeadlockDetected, errors.SerializationFailure)
_ATTEMPTS: Final = 20
"""Deadlocks come singly: 1 to 14 in 1,500 batches under the heaviest contention measured."""
_PAUSE_SECONDS: Final = 0.05

T = TypeVar("T")


class Transactions:
    """Transactions on one database. Threads may share it; each has a connection of its own."""

    def __init__(self, database_url: str) -> None:
        self._connections = Connections(database_url)

    def run(self, work: Callable[[Cursor, frozenset[str]], T]) -> T:
        """Do `work` in a transaction of its own. It is given the families that an earlier attempt found in its way.

        Raises:
            Unavailable: the database is not there, or other transactions were in the way again and again.
        """
        heads: frozenset[str] = frozenset()
        for attempt in range(_ATTEMPTS):
            try:
                with self._transaction() as cursor:
                    return work(cursor, heads)
            except FamiliesNotHeld as found:
                heads = found.heads
            except _IN_THE_WAY:
                heads = frozenset()
                time.sleep(random.uniform(0, _PAUSE_SECONDS * (attempt + 1)))
        raise Unavailable(f"{_ATTEMPTS} attempts met other transactions in their way")

    def close(self) -> None:
        """Close this thread's connection."""
        self._connections.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[Cursor]:
        try:
            connection = self._connections.get()
            with connection.transaction(), connection.cursor() as cursor:
                yield cursor
        except (*TOO_MUCH, *_IN_THE_WAY):
            raise
        except psycopg.Error as error:
            # not there, read-only after a failover, not migrated yet: none of it is the job's fault
            raise Unavailable(f"the database is not available ({type(error).__name__})") from error
