"""Runs work in transactions: again when another was in its way, and saying so when the database is not there."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TypeVar

from psycopg import Cursor

from rollcall_shared.errors import Unavailable
from rollcall_worker.retrying import ATTEMPTS, Fault, fault_of, pause_between_attempts, told
from rollcall_worker.store.connecting import Connections
from rollcall_worker.store.transaction import FamiliesNotHeld

T = TypeVar("T")


class Transactions:
    """Transactions on one database. Threads may share it; each has a connection of its own."""

    def __init__(self, database_url: str, *, lock: timedelta, statement: timedelta) -> None:
        """Prepare to connect. `lock` and `statement` bound the time that one lock and one statement may take."""
        self._connections = Connections(database_url, lock=lock, statement=statement)

    def run(self, work: Callable[[Cursor, frozenset[str]], T]) -> T:
        """Do `work` in a transaction of its own. It is given the families that an earlier attempt found in its way.

        Raises:
            Unavailable: the infrastructure's fault, see `retrying`; or other transactions were in the way again and
                again.
            Exception: the work's own fault; running it again would end the same.
        """
        heads: frozenset[str] = frozenset()
        for attempt in range(ATTEMPTS):
            try:
                with self._transaction() as cursor:
                    return work(cursor, heads)
            except FamiliesNotHeld as found:
                heads = found.heads
            except Exception as error:
                match fault_of(error):
                    case Fault.ANOTHERS:
                        heads = frozenset()
                        time.sleep(pause_between_attempts(attempt))
                    case Fault.INFRASTRUCTURES:
                        raise Unavailable(told(error)) from error
                    case Fault.JOBS:
                        raise
        raise Unavailable(f"{ATTEMPTS} attempts met other transactions in their way")

    def close(self) -> None:
        """Close this thread's connection."""
        self._connections.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[Cursor]:
        connection = self._connections.get()
        with connection.transaction(), connection.cursor() as cursor:
            yield cursor
