"""What stands in Postgres that should be gone by now, and what nobody can apply."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from rollbook_shared.domain.stamps import stamp_floor

if TYPE_CHECKING:
    import psycopg

COUNTED: Final = 100_000
"""Nothing is counted further: that would take longer than anybody waits."""
GRACE: Final = timedelta(minutes=10)
"""Maintenance looks for deletes that have settled every minute, and takes a while if there are many."""
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
"""Deferred jobs, those that are due, and for how long the first of these has been."""

_LETTERS: Final = """
SELECT code, count(*), extract(epoch FROM now() - max(failed_at))::float
FROM rollbook.dead_letters
GROUP BY code
ORDER BY max(failed_at) DESC
"""
"""Dead letters by code, the code that came up last first, and how long ago that was."""

_UNERASED: Final = """
SELECT count(*), extract(epoch FROM now() - rollbook.occurred_at(min(stamp)))::float
FROM (
    SELECT stamp
    FROM rollbook.lifecycle_events AS event
    WHERE primary_id IS NULL
        AND stamp < %(horizon)s
        -- one that has only just come in, late, is not overdue; its stamp holds the id of its job
        AND NOT EXISTS (
            SELECT FROM rollbook.jobs AS job
            WHERE job.id = substr(event.stamp, 15, length(event.stamp) - 19)
                AND job.finished_at > now() - %(grace)s
        )
    ORDER BY stamp
    LIMIT %(most)s
) AS overdue
"""
"""Deletes whose users should have been erased by now, and how long ago the first was."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DeadLetterCount:
    """Dead letters of one code."""

    code: str
    count: int
    newest: float
    """Seconds since the last of them came."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Backlog:
    """How Postgres stands. Counts end at `COUNTED`."""

    deferred: int
    due: int
    overdue: float | None
    """Seconds since the first of the due jobs should have been released."""
    letters: tuple[DeadLetterCount, ...]
    """The code that came up last first."""
    unerased: int
    """Deletes whose users should have been erased by now."""
    oldest_unerased: float | None
    """Seconds since the first of these happened."""


def find_backlog(connection: psycopg.Connection, *, now: int, settling: timedelta) -> Backlog:
    """Count what waits. `now` is in microseconds since 1970. Raises psycopg's errors."""
    deferred, due, overdue = _one(connection.execute(_DEFERRED, {"most": COUNTED}))
    horizon = stamp_floor(now - (settling + GRACE) // _MICROSECOND)
    unerased, oldest = _one(connection.execute(_UNERASED, {"horizon": horizon, "grace": GRACE, "most": COUNTED}))
    return Backlog(
        deferred=deferred,
        due=due,
        overdue=overdue,
        letters=tuple(
            DeadLetterCount(code=code, count=count, newest=newest)
            for code, count, newest in connection.execute(_LETTERS).fetchall()
        ),
        unerased=unerased,
        oldest_unerased=oldest,
    )


def _one(cursor: psycopg.Cursor) -> tuple[Any, ...]:
    row = cursor.fetchone()
    assert row is not None
    return tuple(row)
