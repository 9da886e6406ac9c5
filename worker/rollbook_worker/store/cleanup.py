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
the newest change. Of the members of an identity cluster, `core.decisive_identifies` says which stay. A user's row lists
its few newest identifies itself. A list that is full moves to the identify log, and stamps before the horizon, of users
without merges and deletes, are dropped then in the same way. So users who are identified a few times a day have no row
in the log, and others have one for every eight identifies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Final

from psycopg import Cursor

from rollbook_shared.database.statements import load
from rollbook_shared.domain.stamps import Stamp, stamp_floor
from rollbook_worker.store.console_audit import prune_console
from rollbook_worker.store.erasure import erase, erase_unowned_history, find_deleted
from rollbook_worker.store.identify_log import START, Position, compact_cluster, compact_page
from rollbook_worker.store.retry import is_outage
from rollbook_worker.store.transactions import Transactions
from rollbook_worker.store.unknown_recipients import forget_unknown

_JOBS: Final = load(__package__, "jobs")
_MICROSECOND: Final = timedelta(microseconds=1)

MAX_UNNAMED_RETENTION: Final = timedelta(days=30)
"""Of a dead letter that names no user, whatever the setting says: a text that could not be read may hold what erasure
looks for.
"""


class Cleanup:
    """What maintenance removes. Any number of processes may share the work.

    The time is that of Postgres' clock; `now`, in microseconds since 1970, is one to use instead.
    """

    def __init__(
        self,
        transactions: Transactions,
        *,
        history: timedelta,
        erasure_delay: timedelta,
        erasure_key: str,
        job_retention: timedelta,
        dead_letter_retention: timedelta,
        console_audit_retention: timedelta,
    ) -> None:
        """Prepare to remove; the parameters are those of `PostgresStore`."""
        self._transactions = transactions
        self._history = history // _MICROSECOND
        self._erasure_delay = erasure_delay // _MICROSECOND
        self._erasure_key = erasure_key
        self._job_retention = job_retention // _MICROSECOND
        self._dead_letter_retention = dead_letter_retention // _MICROSECOND
        self._console_audit_retention = console_audit_retention // _MICROSECOND
        self._scanned_to = stamp_floor(0)
        """How far erasure has come; it begins again when it has come to the end."""

    def erase_deleted_users(self, *, now: int | None = None, limit: int = 100) -> int:
        """Erase users whose delete is older than the erasure delay, `limit` deletes a call; return how many were looked
        at.

        A user who cannot be erased is skipped, and tried again after all the others.

        Raises:
            Unavailable: Postgres is not available; at once, unless only one user is blocked.
            Exception: why a user was skipped; the others of this call are erased.
        """
        after = self._scanned_to
        page = self._transactions.run(
            lambda cursor, at: find_deleted(cursor, after=after, horizon=self._horizon(at), limit=limit), now=now
        )

        def erase_one(user_id: str) -> None:
            self._transactions.run(lambda cursor, at: self._erase(cursor, user_id, self._horizon(at), at), now=now)

        skipped = _skip_blocked((user_id for user_id, _ in page), erase_one)
        self._scanned_to = page[-1][1] if len(page) == limit else stamp_floor(0)
        if skipped:
            raise skipped
        return len(page)

    def erase_user(self, user_id: str, *, now: int | None = None) -> dict[str, int]:
        """Erase a deleted user without waiting for the erasure delay; return how many rows of each table.

        The user's data and messages go; the bare fact of the delete stays until the delay is over, because jobs from
        before it may still arrive. Does nothing for a user who was not deleted.
        """
        return self._transactions.run(lambda cursor, at: self._erase(cursor, user_id, stamp_floor(at), at), now=now)

    def erase_unowned_history(self, *, now: int | None = None, limit: int = 1_000) -> int:
        """Erase the history that merges did not transfer, `limit` ownership periods a transaction; return how many
        rows.
        """
        return self._scan(
            lambda cursor, horizon, after: erase_unowned_history(cursor, horizon=horizon, after=after, limit=limit),
            now,
        )

    def forget_unknown_recipients(self, *, now: int | None = None, limit: int = 200) -> int:
        """Delete what was addressed to ids that stood for no user then and, the erasure delay being over, still do not:
        of `limit` recipients of triggers a call; return how many recipients were looked at.
        """
        return self._transactions.run(
            lambda cursor, at: forget_unknown(cursor, horizon=self._horizon(at), limit=limit)[0], now=now
        )

    def compact_identify_log(self, *, now: int | None = None, limit: int = 1_000) -> int:
        """Delete entries of the identify log that can no longer decide anything, looking at `limit` entries a
        transaction; return how many. An identity cluster that cannot be compacted is skipped.

        Raises:
            Unavailable: Postgres is not available; at once, unless only one cluster is blocked.
            Exception: why a cluster was skipped; all others are compacted.
        """
        totals: list[int] = []
        skipped: Exception | None = None
        after: Position | None = START

        def compact_one(root: str) -> None:
            totals.append(self._compact_cluster(root, now))

        while after is not None:
            count, roots, after = self._transactions.run(
                lambda cursor, at, after=after: compact_page(  # type: ignore[misc]
                    cursor, horizon=self._horizon(at), after=after, limit=limit
                ),
                now=now,
            )
            totals.append(count)
            skipped = _skip_blocked(roots, compact_one) or skipped
        if skipped:
            raise skipped
        return sum(totals)

    def prune_jobs(self, *, now: int | None = None, limit: int = 1_000) -> int:
        """Delete finished jobs older than their retention, at most `limit`; return how many."""
        return self._prune("prune_jobs", limit, now, horizon=self._job_retention)

    def prune_dead_letters(self, *, now: int | None = None, limit: int = 100) -> int:
        """Delete dead letters older than their retention, and those that name no user at the latest after
        `MAX_UNNAMED_RETENTION`, at most `limit`; return how many.
        """
        unnamed = MAX_UNNAMED_RETENTION // _MICROSECOND
        return self._prune(
            "prune_dead_letters", limit, now, horizon=self._dead_letter_retention, unnamed_horizon=unnamed
        )

    def prune_console(self, *, now: int | None = None, limit: int = 1_000) -> int:
        """Delete rows of the console's audit older than their retention, at most `limit`, and all of its sessions and
        links to log in that have expired; return how many rows of the audit.
        """
        return self._transactions.run(
            lambda cursor, at: prune_console(cursor, horizon=at - self._console_audit_retention, now=at, limit=limit),
            now=now,
        )

    def _horizon(self, now: int) -> Stamp:
        """No job from before this is expected any more."""
        return stamp_floor(now - self._erasure_delay)

    def _erase(self, cursor: Cursor, user_id: str, horizon: Stamp, now: int) -> dict[str, int]:
        return erase(
            cursor,
            user_id,
            horizon=horizon,
            expected_from=self._horizon(now),
            history=self._history,
            key=self._erasure_key,
            now=now,
        )

    def _compact_cluster(self, root: str, now: int | None) -> int:
        return self._transactions.run(
            lambda cursor, at: compact_cluster(cursor, root, horizon=self._horizon(at), history=self._history), now=now
        )

    def _scan(self, work: Callable[[Cursor, Stamp, Position], tuple[int, Position | None]], now: int | None) -> int:
        """Work through a table, a transaction for each part; return the sum of the counts."""
        total = 0
        after: Position | None = START
        while after is not None:
            count, after = self._transactions.run(
                lambda cursor, at, after=after: work(cursor, self._horizon(at), after),  # type: ignore[misc]
                now=now,
            )
            total += count
        return total

    def _prune(self, statement: str, limit: int, now: int | None, **retentions: int) -> int:
        def work(cursor: Cursor, at: int) -> int:
            horizons = {name: at - retention for name, retention in retentions.items()}
            return cursor.execute(_JOBS[statement], {"limit": limit, **horizons}).rowcount

        return self._transactions.run(work, now=now)


def _skip_blocked(keys: Iterable[str], work: Callable[[str], object]) -> Exception | None:
    """Do the work for each key; return why the last of those that had to be skipped was."""
    skipped = None
    for key in dict.fromkeys(keys):
        try:
            work(key)
        except Exception as error:  # whatever the error, the other keys must not wait for this one
            if is_outage(error):
                raise
            skipped = error
    return skipped
