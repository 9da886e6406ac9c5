"""How a migration waits for other migrations, and for locks: so briefly that it hardly delays other transactions, and
again and again.

DDL that waits for a reader to finish is at the head of the table's lock queue, and every writer waits behind it. So it
gives up after a second, lets the writers pass, and tries again.
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
"""How long a statement may wait for a lock, and with it every statement that needs the table after it."""
_BACKOFF: Final = Backoff(first=0.5, longest=10.0)
TIMEOUT_SECONDS: Final = 600.0
"""How long a migration goes on trying: a backup, or a report, may hold a table that long."""

SESSION_SETTINGS: Final = (
    f"SET lock_timeout = '{LOCK_SECONDS}s'",
    # an index takes as long as it takes
    "SET statement_timeout = 0",
    "SET idle_in_transaction_session_timeout = 0",
)
"""The settings of the connection that migrates."""
_TURN: Final = Backoff(first=0.1, longest=2.0)

_LOCKED: Final = (errors.LockNotAvailable, errors.DeadlockDetected)
# each schema has a key of its own
_KEY: Final = "hashtextextended('rollbook.migrations', 0)"
_TRY_LOCK: Final = text(f"SELECT pg_try_advisory_lock({_KEY})")
_HOLDER: Final = text(f"""
SELECT held.pid, activity.usename, activity.application_name
FROM pg_locks AS held
LEFT JOIN pg_stat_activity AS activity ON activity.pid = held.pid
WHERE held.locktype = 'advisory'
    AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND held.classid = CAST(({_KEY} >> 32) & 4294967295 AS oid)
    AND held.objid = CAST({_KEY} & 4294967295 AS oid)
    AND held.objsubid = 1
    AND held.granted
""")
_OLDEST: Final = text("""
SELECT pid, application_name, state, extract(epoch FROM now() - xact_start)
FROM pg_stat_activity
WHERE datname = current_database()
    AND xact_start IS NOT NULL
    AND pid <> pg_backend_pid()
ORDER BY xact_start
LIMIT 1
""")


class AnotherMigration(Exception):
    """Another session holds the lock of migrations."""


def lock_migrations(connection: Connection, report: Callable[[str], object], *, timeout: float) -> None:
    """Be the only one that migrates this schema, until the connection closes. `report` gets a line about who else is.

    Raises:
        AnotherMigration: another session held the lock for `timeout` seconds. Every login of the database may take it.
    """
    deadline = time.monotonic() + timeout
    reported = ""
    for attempt in count():
        is_ours = connection.execute(_TRY_LOCK).scalar_one()
        holder = "" if is_ours else _holder(connection)
        connection.commit()
        if is_ours:
            return
        if time.monotonic() > deadline:
            raise AnotherMigration(f"another session held the lock of migrations for {timeout:.0f} s{holder}")
        if holder != reported:
            report(f"another session holds the lock of migrations{holder}; waiting until it ends")
            reported = holder
        time.sleep(_TURN.delay(attempt))


def _holder(connection: Connection) -> str:
    row = connection.execute(_HOLDER).first()
    if row is None:
        return ""
    pid, role, name = row
    return f" (process {pid}, {name or 'unnamed'}, role {role or 'unknown'})"


def retry_when_locked(
    connection: Connection, work: Callable[[], object], report: Callable[[str], object], *, timeout: float
) -> None:
    """Do `work`, again if a lock was in the way, for `timeout` seconds. `report` gets a line about who may hold the
    lock.

    Raises:
        OperationalError: a lock was in the way all that time, or something else failed.
    """
    deadline = time.monotonic() + timeout
    for attempt in count():
        try:
            work()
            return
        except OperationalError as error:
            if not isinstance(error.orig, _LOCKED) or time.monotonic() > deadline:
                raise
        connection.rollback()
        seconds = _BACKOFF.delay(attempt)
        locked = f"another transaction has locked a table that is to change{_oldest(connection)}"
        report(f"{locked}; trying again in {seconds:.1f} s")
        time.sleep(seconds)


def _oldest(connection: Connection) -> str:
    """The transaction that has been open longest: most likely the one that holds the lock."""
    row = connection.execute(_OLDEST).first()
    connection.commit()
    if row is None:
        return ""
    pid, name, state, seconds = row
    return f" (the oldest is process {pid}, {name or 'unnamed'}, {state}, for {seconds:.0f} s)"
