"""How a migration waits for locks: so briefly that nobody notices, and again and again.

DDL that waits for a reader to finish stands at the head of the table's queue, and every writer behind it. So it gives
up after a second, lets them pass, and tries again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count
from typing import Final

from psycopg import errors
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from rollbook_shared.backoff import Backoff

LOCK_SECONDS: Final = 1
"""How long a statement may wait for a lock, and with it all who want the table after it."""
_BACKOFF: Final = Backoff(first=0.5, longest=10.0)
PATIENCE_SECONDS: Final = 600.0
"""How long migrating goes on trying: a backup, or a report, may hold a table that long."""

CAUTION: Final = (
    f"SET lock_timeout = '{LOCK_SECONDS}s'",
    # an index takes as long as it takes
    "SET statement_timeout = 0",
    "SET idle_in_transaction_session_timeout = 0",
)
"""The settings of a connection that migrates."""

_IN_THE_WAY: Final = (errors.LockNotAvailable, errors.DeadlockDetected)
_OLDEST: Final = text("""
SELECT pid, application_name, state, extract(epoch FROM now() - xact_start)
FROM pg_stat_activity
WHERE datname = current_database()
    AND xact_start IS NOT NULL
    AND pid <> pg_backend_pid()
ORDER BY xact_start
LIMIT 1
""")


def until_locked(
    connection: Connection, work: Callable[[], object], say: Callable[[str], object], *, patience: float
) -> None:
    """Do `work`, again when a lock was in its way, for `patience` seconds. `say` is told who may hold it.

    Raises:
        OperationalError: it was in the way all that time, or something else went wrong.
    """
    deadline = time.monotonic() + patience
    for attempt in count():
        try:
            work()
            return
        except OperationalError as error:
            if not isinstance(error.orig, _IN_THE_WAY) or time.monotonic() > deadline:
                raise
        connection.rollback()
        seconds = _BACKOFF.delay(attempt)
        say(
            f"another transaction holds a table that is to change{_oldest(connection)}; trying again in {seconds:.1f} s"
        )
        time.sleep(seconds)


def _oldest(connection: Connection) -> str:
    """The transaction that has been open longest: most likely the one."""
    row = connection.execute(_OLDEST).first()
    connection.commit()
    if row is None:
        return ""
    pid, name, state, seconds = row
    return f" (the oldest is process {pid}, {name or 'unnamed'}, {state}, for {seconds:.0f} s)"
