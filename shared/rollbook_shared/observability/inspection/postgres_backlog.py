"""What waits in Postgres: deferred jobs, dead letters, and erasures that are overdue."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from rollbook_shared.database.statements import load
from rollbook_shared.domain.stamps import stamp_floor

if TYPE_CHECKING:
    import psycopg

MAX_COUNT: Final = 100_000
"""Counts end here: exact ones would take too long."""
GRACE: Final = timedelta(minutes=10)
"""Maintenance looks for users to erase every minute, and takes a while if there are many."""
_MICROSECOND: Final = timedelta(microseconds=1)
_SQL: Final = load(__package__, "backlog")


@dataclass(frozen=True, kw_only=True, slots=True)
class DeadLetterCount:
    """Dead letters of one code."""

    code: str
    count: int
    newest: float
    """Age of the newest, in seconds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Backlog:
    """What waits in Postgres. Counts end at `MAX_COUNT`."""

    deferred: int
    due: int
    overdue: float | None
    """Seconds since the first of the due jobs became due."""
    dead_letters: tuple[DeadLetterCount, ...]
    """The code of the newest first."""
    overdue_erasures: int
    """Deletes whose users should have been erased by now."""
    oldest_overdue_erasure: float | None
    """Age of the first of these deletes, in seconds."""
    overdue_recipients: int
    """Unknown recipients of triggers who should have been forgotten by now."""
    oldest_overdue_recipient: float | None
    """Age of the first of these triggers, in seconds."""


def find_backlog(connection: psycopg.Connection, *, erasure_delay: timedelta) -> Backlog:
    """Count what waits, by Postgres' clock. Raises psycopg's errors."""
    (now,) = _one(connection.execute(_SQL["now"]))
    deferred, due, overdue = _one(connection.execute(_SQL["deferred"], {"limit": MAX_COUNT}))
    horizon = stamp_floor(now - (erasure_delay + GRACE) // _MICROSECOND)
    parameters = {"horizon": horizon, "grace": GRACE, "limit": MAX_COUNT}
    overdue_erasures, oldest = _one(connection.execute(_SQL["overdue_erasures"], parameters))
    overdue_recipients, oldest_recipient = _one(connection.execute(_SQL["overdue_recipients"], parameters))
    return Backlog(
        deferred=deferred,
        due=due,
        overdue=overdue,
        dead_letters=tuple(
            DeadLetterCount(code=code, count=count, newest=newest)
            for code, count, newest in connection.execute(_SQL["dead_letters"]).fetchall()
        ),
        overdue_erasures=overdue_erasures,
        oldest_overdue_erasure=oldest,
        overdue_recipients=overdue_recipients,
        oldest_overdue_recipient=oldest_recipient,
    )


def _one(cursor: psycopg.Cursor) -> tuple[Any, ...]:
    row = cursor.fetchone()
    assert row is not None
    return tuple(row)
