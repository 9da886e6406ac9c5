"""Removes what need not be kept: erased users, old rows of `jobs`, old dead letters, and identify stamps that no longer
decide anything. In short transactions, each of which locks only what it removes.

*Finished jobs.* Only statuses depend on the rows of `jobs`. What a worker keeps is a join of facts: applying a job
again after its row is pruned joins facts that are there already, and changes nothing; so rules 23 and 24 hold with an
empty table (and erasure receipts stand in for what was erased). Only two things are then judged anew: another job under
a pruned id is not found to be `id_reused`, and a redelivery counts as applied, not as a duplicate. Two states are never
pruned by age. `deferred`: the row goes with its job, when it is due. `cancelled`: no fact records that a job was
cancelled, so a redelivery of it, however late, must find the row.

*Identify stamps.* Whether a user existed when a trigger ran depends on the first identify after the delete before it.
Of a user whom no merge or delete names, that is the first of all, which is in its row; a delete stamped before the
horizon is not expected any more, and one stamped later leaves the first in its place. The last identify stays: it is
the newest change. A user's row lists its few newest identifies itself. A list that is full moves to the identify log,
and stamps before the horizon are dropped then in the same way. So users who are identified a few times a day have no
row in the log, and others have one for every eight identifies.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from psycopg import Cursor

from rollbook_shared.database.statements import load
from rollbook_shared.domain.stamps import Stamp, stamp_floor
from rollbook_worker.store.erasure import erase, erase_unowned_history, find_deleted
from rollbook_worker.store.retry import is_outage
from rollbook_worker.store.transactions import Transactions

_ERASURE: Final = load(__package__, "erasure")
_JOBS: Final = load(__package__, "jobs")
_MICROSECOND: Final = timedelta(microseconds=1)

_Position = tuple[str, str]
"""Where a scan of a table goes on: the first two columns of its key."""


class Cleanup:
    """What maintenance removes. Any number of processes may share the work; `now` is in microseconds since 1970."""

    def __init__(
        self,
        transactions: Transactions,
        *,
        history: timedelta,
        erasure_delay: timedelta,
        erasure_key: str,
        job_retention: timedelta,
        dead_letter_retention: timedelta,
    ) -> None:
        """Prepare to remove; the parameters are those of `PostgresStore`."""
        self._transactions = transactions
        self._history = history // _MICROSECOND
        self._erasure_delay = erasure_delay // _MICROSECOND
        self._erasure_key = erasure_key
        self._job_retention = job_retention // _MICROSECOND
        self._dead_letter_retention = dead_letter_retention // _MICROSECOND
        self._scanned_to = stamp_floor(0)
        """How far erasure has come; it begins again when it has come to the end."""

    def erase_deleted_users(self, *, now: int, limit: int = 100) -> int:
        """Erase users whose delete is older than the erasure delay, `limit` deletes a call; return how many were looked
        at.

        A user who cannot be erased is skipped, and tried again after all the others.

        Raises:
            Unavailable: Postgres is not available; at once, unless only one user is blocked.
            Exception: why a user was skipped; the others of this call are erased.
        """
        horizon = stamp_floor(now - self._erasure_delay)
        after, skipped = self._scanned_to, None
        page = self._transactions.run(lambda cursor: find_deleted(cursor, after=after, horizon=horizon, limit=limit))
        for user_id in dict.fromkeys(user_id for user_id, _ in page):
            try:
                self._erase(user_id, horizon, now)
            except Exception as error:  # whatever the error, the other users must not wait for this one
                if is_outage(error):
                    raise
                skipped = error
        self._scanned_to = page[-1][1] if len(page) == limit else stamp_floor(0)
        if skipped:
            raise skipped
        return len(page)

    def erase_user(self, user_id: str, *, now: int) -> dict[str, int]:
        """Erase a deleted user without waiting for the erasure delay; return how many rows of each table.

        The user's data and messages go; the bare fact of the delete stays until the delay is over, because jobs from
        before it may still arrive. Does nothing for a user who was not deleted.
        """
        return self._erase(user_id, stamp_floor(now), now)

    def erase_unowned_history(self, *, now: int, limit: int = 1_000) -> int:
        """Erase the history that merges did not transfer, `limit` ownership periods a transaction; return how many
        rows.
        """
        horizon = stamp_floor(now - self._erasure_delay)
        return self._scan(
            lambda cursor, after: erase_unowned_history(cursor, horizon=horizon, after=after, limit=limit)
        )

    def compact_identify_log(self, *, now: int, limit: int = 1_000) -> int:
        """Delete rows of the identify log that can no longer decide anything, looking at `limit` rows a transaction;
        return how many.
        """
        horizon = stamp_floor(now - self._erasure_delay)
        return self._scan(
            lambda cursor, after: _compact_identify_log(cursor, horizon=horizon, after=after, limit=limit)
        )

    def prune_jobs(self, *, now: int, limit: int = 1_000) -> int:
        """Delete finished jobs older than their retention, at most `limit`; return how many."""
        return self._prune("prune_jobs", now - self._job_retention, limit)

    def prune_dead_letters(self, *, now: int, limit: int = 100) -> int:
        """Delete dead letters older than their retention, at most `limit`; return how many."""
        return self._prune("prune_dead_letters", now - self._dead_letter_retention, limit)

    def _erase(self, user_id: str, horizon: Stamp, now: int) -> dict[str, int]:
        expected_from = stamp_floor(now - self._erasure_delay)
        return self._transactions.run(
            lambda cursor: erase(
                cursor,
                user_id,
                horizon=horizon,
                expected_from=expected_from,
                history=self._history,
                key=self._erasure_key,
                now=now,
            )
        )

    def _scan(self, work: Callable[[Cursor, _Position], tuple[int, _Position | None]]) -> int:
        """Work through a table, a transaction for each part; return the sum of the counts."""
        total = 0
        after: _Position | None = ("", "")
        while after is not None:
            count, after = self._transactions.run(lambda cursor, after=after: work(cursor, after))  # type: ignore[misc]
            total += count
        return total

    def _prune(self, statement: str, horizon: int, limit: int) -> int:
        parameters = {"horizon": horizon, "limit": limit}
        return self._transactions.run(lambda cursor: cursor.execute(_JOBS[statement], parameters).rowcount)


def _compact_identify_log(
    cursor: Cursor, *, horizon: Stamp, after: _Position, limit: int
) -> tuple[int, _Position | None]:
    user_id, last_stamp = after
    parameters = {"horizon": horizon, "user_id": user_id, "last_stamp": last_stamp, "limit": limit}
    row = cursor.execute(_ERASURE["compact_identify_log"], parameters).fetchone()
    return (row[0], (row[1], row[2])) if row else (0, None)
