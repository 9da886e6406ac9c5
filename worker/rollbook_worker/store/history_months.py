"""The history by month: triggers, activities and messages lie in partitions by their stamp, and what is too old is
dropped with its partition.

Each table has partitions without a gap between them, from the oldest that is kept to the last, which has no end: a row
that is not too old has a place, whatever became of maintenance. At first there is one partition for everything. With a
retention, maintenance cuts the last partition where a month begins, before rows of that month can come: then the new
one is empty, and nothing has to be moved. A cut that comes late makes a longer month.

Each step is a transaction that locks one table, for as long as a change of the catalog takes; one that does not get the
lock at once gives up, and lets pass what waits behind it.

Engagements and deliveries are not partitioned: the rows of neither say in which month their message lies, and the keys
that keep each single would have to. So those of a partition's messages are deleted, page by page, before it is dropped.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from psycopg import Cursor

from rollbook_shared.database.statements import load
from rollbook_shared.domain.stamps import INFINITY, Stamp, datetime_of, microseconds, occurred_at_of, stamp_floor
from rollbook_worker.store.transactions import Transactions

PARTITIONED: Final = ("messages", "activities", "triggers")
"""The history. Partitions are dropped in this order: readers look for the trigger of a message."""
AHEAD: Final = timedelta(days=35)
"""The last partition begins at least so long after now: a month is ready before it begins."""
MARGIN: Final = timedelta(days=7)
"""A partition with rows ends no sooner after now. Maintenance may stop in the middle of a cut, and from then on the
table takes no row that is stamped after the cut.
"""
GRACE: Final = timedelta(hours=1)
"""A partition is dropped so long after its last row became too old: longer than a transaction that may add one."""
LOCK_TIMEOUT: Final = timedelta(milliseconds=200)
"""How long a step waits for a table, and with it every statement that needs the table after it."""
CHECK_TIMEOUT: Final = timedelta(hours=6)
"""Of the check that all rows of a large partition lie before its end, which locks out no other statement."""
_MONTHS: Final = load(__package__, "history_months")
_MICROSECOND: Final = timedelta(microseconds=1)
_BEFORE_ALL: Final = UUID(int=0)


class Month(NamedTuple):
    """A partition of a table: the stamps of its rows are at least `valid_from`, and before `valid_to`."""

    of_table: str
    name: str
    valid_from: str
    """Empty: there is no partition before it."""
    valid_to: str
    """`INFINITY`: there is no partition after it."""


class HistoryMonths:
    """Makes partitions and drops them. Any number of processes may share the work.

    The time is that of Postgres' clock; `now`, in microseconds since 1970, is one to use instead.
    """

    def __init__(
        self,
        transactions: Transactions,
        steps: Transactions,
        *,
        retention: timedelta | None,
        max_clock_skew: int,
    ) -> None:
        """Prepare to make months and to drop them.

        transactions: for what reads and deletes rows.
        steps: for what changes tables; with `LOCK_TIMEOUT` and `CHECK_TIMEOUT`.
        retention: how long the history is kept; None: for ever, and in the partitions that there are.
        max_clock_skew: microseconds by which a stamp may be ahead of now.
        """
        self._transactions = transactions
        self._steps = steps
        self._retention = retention
        self._ahead = max_clock_skew + AHEAD // _MICROSECOND
        self._margin = max_clock_skew + MARGIN // _MICROSECOND

    def make(self, *, now: int | None = None) -> int:
        """Cut the last partition of each table where the next months begin, if that is needed soon; return how many
        cuts were made.

        Raises:
            Unavailable: a table was locked, or Postgres is not available. Trying again goes on where it ended.
        """
        if self._retention is None:
            return 0
        cuts = 0
        while (cut := self._transactions.run(self._next_cut, now=now)) is not None:
            while self._steps.run(lambda cursor, at, cut=cut: self._cut(cursor, *cut)):  # type: ignore[misc]
                pass
            cuts += 1
        return cuts

    def drop(self, *, now: int | None = None, limit: int = 1_000) -> list[str]:
        """Drop the partitions whose rows are all too old, with the engagements and deliveries of their messages, of
        `limit` messages a transaction; return the names of the partitions.

        Raises:
            Unavailable: as `make`.
        """
        if self._retention is None:
            return []
        dropped: list[str] = []
        for month in self._transactions.run(self._expired, now=now):
            if month.of_table == "messages":
                self._forget_messages(month, limit)
            name = self._steps.run(lambda cursor, at, month=month: self._drop(cursor, month))  # type: ignore[misc]
            if name is not None:  # otherwise another process was faster
                dropped.append(name)
        return dropped

    def _next_cut(self, cursor: Cursor, now: int) -> tuple[str, Stamp] | None:
        """A table whose last partition has to end, and where."""
        for month in select_months(cursor):
            if month.valid_to == INFINITY and (at := end_of_last(month.valid_from, now, self._ahead, self._margin)):
                return month.of_table, at
        return None

    def _cut(self, cursor: Cursor, table: str, at: Stamp) -> bool:
        return bool(_one(cursor, "cut", table=table, at=at))

    def _expired(self, cursor: Cursor, now: int) -> list[Month]:
        """The partitions to drop: messages first, then what readers look for with a message; of a table the oldest
        first.
        """
        assert self._retention is not None
        before = stamp_floor(now - (self._retention + GRACE) // _MICROSECOND)
        expired = [month for month in select_months(cursor) if month.valid_to <= before]
        return sorted(expired, key=lambda month: (PARTITIONED.index(month.of_table), month.valid_to))

    def _drop(self, cursor: Cursor, month: Month) -> str | None:
        name = _one(cursor, "drop", table=month.of_table, before=month.valid_to)
        return None if name is None else str(name)

    def _forget_messages(self, month: Month, limit: int) -> None:
        after: UUID | None = _BEFORE_ALL
        while after is not None:
            after = self._transactions.run(
                lambda cursor, at, after=after: _one(  # type: ignore[misc]
                    cursor, "forget_page", before=month.valid_to, after=after, limit=limit
                )
            )


def select_months(cursor: Cursor) -> list[Month]:
    """The partitions of the history, the oldest of each table first."""
    cursor.execute(_MONTHS["select"])
    return [Month(*row) for row in cursor]


def select_start(cursor: Cursor) -> Stamp:
    """The stamp before which the history was dropped; empty if none was."""
    return Stamp(_one(cursor, "select_start"))


def end_of_last(valid_from: str, now: int, ahead: int, margin: int) -> Stamp | None:
    """Where the last partition of a table has to end, which begins at `valid_from`; None: it begins late enough.

    All times are in microseconds: the next partition begins with a month, later than `now` by `margin` and more, and
    the last one later than `now` by more than `ahead`.
    """
    begins_at = occurred_at_of(Stamp(valid_from)) if valid_from else 0
    if begins_at > now + ahead:
        return None
    return stamp_floor(start_of_next_month(max(begins_at, now + margin)))


def start_of_next_month(at: int) -> int:
    """When the month after that of a time begins (UTC), in microseconds since 1970."""
    inside: datetime = datetime_of(at).replace(day=28, hour=0, minute=0, second=0, microsecond=0) + timedelta(days=4)
    return microseconds(inside.replace(day=1))


def _one(cursor: Cursor, statement: str, **parameters: object) -> Any:
    row = cursor.execute(_MONTHS[statement], parameters).fetchone()
    return None if row is None else row[0]
