"""What waits in Postgres: deferred jobs, dead letters, and erasures that are overdue."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from rollbook_shared.domain.stamps import stamp_floor

if TYPE_CHECKING:
    import psycopg

MAX_COUNT: Final = 100_000
"""Counts end here: exact ones would take too long."""
GRACE: Final = timedelta(minutes=10)
"""Maintenance looks for users to erase every minute, and takes a while if there are many."""
_MICROSECOND: Final = timedelta(microseconds=1)

_DEFERRED: Final = """
SELECT
    (SELECT count(*) FROM (SELECT FROM rollbook.deferred_jobs LIMIT %(most)s) AS all_of_them),
    (SELECT count(*) FROM (SELECT FROM rollbook.deferred_jobs WHERE due_at <= now() LIMIT %(most)s) AS due),
    (
        SELECT greatest(0, extract(epoch FROM now() - min(due_at)))::float
        FROM rollbook.deferred_jobs
        WHERE due_at <= now()
    )
"""
"""Deferred jobs, those of them that are due, and for how long the first of these has been due."""

_DEAD_LETTERS: Final = """
SELECT code, count(*), extract(epoch FROM now() - max(failed_at))::float
FROM rollbook.dead_letters
GROUP BY code
ORDER BY max(failed_at) DESC
"""
"""Dead letters by code, the code of the newest first, and the age of the newest of each."""

_OVERDUE_ERASURES: Final = """
SELECT count(*), extract(epoch FROM now() - rollbook.occurred_at(min(stamp)))::float
FROM (
    SELECT stamp
    FROM rollbook.lifecycle_events AS event
    WHERE primary_id IS NULL
        AND stamp < %(horizon)s
        -- a late delete that has only just arrived is not overdue; its stamp holds the id of its job
        AND NOT EXISTS (
            SELECT FROM rollbook.jobs AS job
            WHERE job.id = substr(event.stamp, 15, length(event.stamp) - 19)
                AND job.finished_at > now() - %(grace)s
        )
    ORDER BY stamp
    LIMIT %(most)s
) AS overdue
"""
"""Deletes whose users should have been erased by now, and the age of the first."""


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


def find_backlog(connection: psycopg.Connection, *, now: int, erasure_delay: timedelta) -> Backlog:
    """Count what waits. `now` is in microseconds since 1970. Raises psycopg's errors."""
    deferred, due, overdue = _one(connection.execute(_DEFERRED, {"most": MAX_COUNT}))
    horizon = stamp_floor(now - (erasure_delay + GRACE) // _MICROSECOND)
    overdue_erasures, oldest = _one(
        connection.execute(_OVERDUE_ERASURES, {"horizon": horizon, "grace": GRACE, "most": MAX_COUNT})
    )
    return Backlog(
        deferred=deferred,
        due=due,
        overdue=overdue,
        dead_letters=tuple(
            DeadLetterCount(code=code, count=count, newest=newest)
            for code, count, newest in connection.execute(_DEAD_LETTERS).fetchall()
        ),
        overdue_erasures=overdue_erasures,
        oldest_overdue_erasure=oldest,
    )


def _one(cursor: psycopg.Cursor) -> tuple[Any, ...]:
    row = cursor.fetchone()
    assert row is not None
    return tuple(row)
