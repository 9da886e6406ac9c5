"""A history that is older than all jobs of a run, and a retention with which maintenance drops it during the run.

It lies in two months: the first is too old when maintenance starts, the second becomes so in the middle of the run. Its
rows are as workers wrote them long ago, for users of the run: a feed that shows one of them differs from the reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import psycopg
from benchmarks.chaos.jobs import PERIOD

from rollbook_shared.domain.stamps import datetime_of, microseconds, stamp_floor
from rollbook_worker.store import PostgresStore
from rollbook_worker.store.history_months import GRACE

OLD_ROWS: Final = "old rows"
"""The place of the backlog where the old history waits to be dropped."""
_LONG: Final = timedelta(days=36_500)
_DAY: Final = timedelta(days=1) // timedelta(microseconds=1)
_MICROSECOND: Final = timedelta(microseconds=1)
_MARGIN: Final = timedelta(days=5)
"""Between the oldest stamp of a job and the end of the old history; clocks are skewed by minutes."""
_STARTING: Final = timedelta(seconds=20)
"""From the servers' start to the first job."""
_MESSAGES: Final = 6_000
"""In each of the two months. Maintenance forgets a thousand at a time, so that it is killed between two of them."""

_WRITE: Final = """
WITH old AS MATERIALIZED (
    SELECT
        md5('old-' || %(month)s || '-' || n)::uuid AS id,
        'old-' || %(month)s || '-' || n AS job_id,
        lpad(to_hex(%(first)s + n * (%(last)s - %(first)s) / %(number)s), 14, '0') || 'old-' || n || '!0002' AS stamp,
        'u' || lpad((n %% 40)::text, 5, '0') || substr('abcde', (n %% 5)::integer + 1, 1) AS recipient
    FROM generate_series(0, %(number)s::bigint - 1) AS n
), triggers AS (
    INSERT INTO rollbook.triggers (job_id, stamp, workflow, had_actor, categories, data)
    SELECT job_id, stamp, 'mention', false, '{}', '{}' FROM old
), activities AS (
    INSERT INTO rollbook.activities (id, job_id, stamp, recipient)
    SELECT id, job_id, stamp, recipient FROM old
), messages AS (
    INSERT INTO rollbook.messages (id, job_id, stamp, recipient, channel)
    SELECT id, job_id, stamp, recipient, 'email' FROM old
), engagements AS (
    INSERT INTO rollbook.engagements (message_id, engagement, stamp, is_set)
    SELECT id, 'seen', stamp, true FROM old
)
INSERT INTO rollbook.deliveries
    (message_id, channel, workflow, priority, state, due_at, expires_at, created_at, changed_at)
SELECT id, 'email', 'mention', 0, 'sent', NULL, 'infinity', rollbook.occurred_at(stamp), rollbook.occurred_at(stamp)
FROM old
"""
_COUNT: Final = """
SELECT
    (SELECT count(*) FROM rollbook.triggers WHERE stamp < %(end)s)
    + (SELECT count(*) FROM rollbook.activities WHERE stamp < %(end)s)
    + (SELECT count(*) FROM rollbook.messages WHERE stamp < %(end)s)
    + (SELECT count(*) FROM rollbook.engagements WHERE stamp < %(end)s)
    + (SELECT count(*) FROM rollbook.deliveries WHERE created_at < rollbook.occurred_at(%(end)s))
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class OldHistory:
    """Where the old history lies, in microseconds since 1970, and the retention with which it is dropped."""

    first_end: int
    """When the first month ends."""
    second_end: int
    retention: timedelta

    @property
    def late_before(self) -> int:
        """A trigger from before this time makes no messages, whatever maintenance has done yet."""
        return self.first_end - _DAY


def plan_old_history(*, now: int, seconds: float) -> OldHistory:
    """The old history of a run that sends jobs for so many seconds, from soon after now on."""
    second_end = _month_of(now - 2 * PERIOD - _MARGIN // _MICROSECOND)
    middle = now + (_STARTING + timedelta(seconds=seconds / 2)) // _MICROSECOND
    return OldHistory(
        first_end=_month_of(second_end - 1),
        second_end=second_end,
        retention=(middle - second_end) * _MICROSECOND - GRACE,
    )


def write_old_history(url: str, history: OldHistory, *, now: int) -> None:
    """Make the months that maintenance would have made since then, and fill the first two."""
    store = PostgresStore(url, message_retention=_LONG)
    for at in range(history.first_end - 20 * _DAY, now, 20 * _DAY):
        store.history_months.make(now=at)
    store.close()
    with psycopg.connect(url, autocommit=True) as connection, psycopg.ClientCursor(connection) as cursor:
        months = (history.first_end - 20 * _DAY, history.second_end - 20 * _DAY)
        for month, first in enumerate(months):
            values = {"month": str(month), "first": first, "last": first + 19 * _DAY, "number": _MESSAGES}
            cursor.execute(_WRITE.encode(), values)


def count_old_rows(connection: psycopg.Connection, history: OldHistory) -> int:
    """How many rows of the old history are left, in all tables."""
    row = connection.execute(_COUNT, {"end": stamp_floor(history.second_end)}).fetchone()
    assert row is not None
    return int(row[0])


def _month_of(at: int) -> int:
    inside: datetime = datetime_of(at)
    return microseconds(inside.replace(day=1, hour=0, minute=0, second=0, microsecond=0))
