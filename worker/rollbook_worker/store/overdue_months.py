"""The months of the history that maintenance should have made or dropped by now; for the doctor and for metrics."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import psycopg

from rollbook_shared.database.statements import load
from rollbook_shared.domain.stamps import INFINITY, Stamp, datetime_of, occurred_at_of
from rollbook_worker.store.history_months import AHEAD, GRACE, Month, select_months

TOLERANCE: Final = timedelta(hours=2)
"""Maintenance looks every hour, and tries again when a table was locked."""
_SQL: Final = load(__package__, "history_months")
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class OverdueMonths:
    """What maintenance is late with."""

    not_made: tuple[str, ...]
    """The tables whose next month should be there."""
    is_current_missing: bool
    """Whether rows of this month go to the partition of an earlier month, with which they will be dropped later."""
    not_dropped: tuple[str, ...]
    """The partitions that are too old."""
    overdue: float
    """Seconds since the first of these should have been dropped; 0: there is none."""


_NONE: Final = OverdueMonths(not_made=(), is_current_missing=False, not_dropped=(), overdue=0)


def find_overdue_months(connection: psycopg.Connection, *, retention: timedelta | None) -> OverdueMonths:
    """Compare the months with Postgres' clock. Without a retention no month is overdue. Raises psycopg's errors."""
    if retention is None:
        return _NONE
    with connection.cursor() as cursor:
        row = cursor.execute(_SQL["now"]).fetchone()
        assert row is not None
        now: int = row[0]
        months = select_months(cursor)
    late = (AHEAD - TOLERANCE) // _MICROSECOND
    last = [month for month in months if month.valid_to == INFINITY]
    drop_before = now - (retention + GRACE + TOLERANCE) // _MICROSECOND
    ends = {month.name: _time(month.valid_to) for month in months if month.valid_to != INFINITY}
    expired = {name: end for name, end in ends.items() if end <= drop_before}
    return OverdueMonths(
        not_made=tuple(month.of_table for month in last if _time(month.valid_from) <= now + late),
        is_current_missing=any(_began_in_a_month_before(month, now) for month in last),
        not_dropped=tuple(expired),
        overdue=max((drop_before - end for end in expired.values()), default=0) / 1_000_000,
    )


def _began_in_a_month_before(last: Month, now: int) -> bool:
    """A table that was never cut has one partition for all, on purpose, until maintenance knows a retention."""
    if not last.valid_from:
        return False
    begun, today = datetime_of(_time(last.valid_from)), datetime_of(now)
    return (begun.year, begun.month) < (today.year, today.month)


def _time(stamp: str) -> int:
    return occurred_at_of(Stamp(stamp)) if stamp else 0
