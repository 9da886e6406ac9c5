"""A dispatcher: applies deferred jobs that are due, in as few transactions as it can.

A job that something is in the way of (a lock on its user, a statement that takes long) must not make the others late.
So jobs are tried in a hurry first, together and then each by itself. Whichever is held up even so is passed over from
then on, and tried by itself with all the time that a statement may take, in a thread of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

from psycopg import Cursor

from rollbook_shared.errors import Unavailable
from rollbook_shared.jobs.models import Job
from rollbook_shared.outcomes import DeadLetterCode
from rollbook_worker.store.deferred_jobs import Due, give_up, hurry, release, still_deferred, take_due, take_one
from rollbook_worker.store.retry import Blocked, StatementTimeout, attempts_exhausted, dead_letter_reason, is_outage
from rollbook_worker.store.transactions import Transactions

Keep = Callable[[Cursor, Sequence[Job], int, frozenset[str]], None]
"""Apply jobs in an open transaction, at a time, holding these families."""

HURRIED_LOCK: Final = timedelta(seconds=1)
HURRIED_STATEMENT: Final = timedelta(seconds=2)
"""A job may be a few seconds late. A hundred of them take a tenth of a second when nothing is in their way."""
CURT_LOCK: Final = timedelta(milliseconds=50)
"""For each by itself, when something is known to be in the way: a hundred of one user who is locked cost 5 seconds, and
not 100. To be held up costs a job little, for it is tried again."""

logger = logging.getLogger(__name__)


class Dispatcher:
    """Releases deferred jobs; any number of them may share the work.

    Each finds out by itself which jobs are held up. Kept in memory: one that is begun anew knows nothing of them, loses
    a few seconds with each, and counts from the start.
    """

    def __init__(
        self, transactions: Transactions, keep: Keep, *, lock: timedelta, statement: timedelta, max_tries: int
    ) -> None:
        """Prepare to release with `keep`. `lock` and `statement` bound what a transaction waits for; `max_tries` is how
        often a job may take too long by itself before it is given up (0: for ever).
        """
        self._transactions = transactions
        self._keep = keep
        self._lock = min(lock, HURRIED_LOCK)
        self._statement = min(statement, HURRIED_STATEMENT)
        self._max_tries = max_tries
        self._held_up: dict[str, int] = {}
        """By id of the job, how often it took too long by itself."""

    def release_due(self, *, now: int, limit: int) -> int:
        """Apply deferred jobs that are due, `limit` at most; return how many.

        One that cannot be kept is found by halving, and dies alone. One that is held up is left to `release_held_up`.
        """
        taken: list[Due] = []
        try:
            return self._release(lambda cursor: self._take_due(cursor, now, limit), taken, now)
        except Blocked as error:
            match taken:
                case []:
                    raise
                case [due]:
                    logger.warning("deferred job %s: %s; trying it by itself", due.id, error, extra={"job_id": due.id})
                    self._held_up[due.id] = 0
                    return 0
                case _:  # halving would meet what is in the way at every halving
                    return sum(self.release_due(now=now, limit=1) for _ in taken)
        except Unavailable:
            raise
        except Exception as error:  # whatever it is, the others that are due are not to wait for it
            if limit == 1 and taken:
                self._give_up(taken[0], *dead_letter_reason(error), now)
                return 1
            if limit == 1:
                raise
        half = limit // 2
        return self.release_due(now=now, limit=half) + self.release_due(now=now, limit=limit - half)

    def release_held_up(self, *, now: int) -> int:
        """Try each job that was held up, by itself; return how many were applied.

        One that takes too long again and again becomes a dead letter; whoever waits for a lock is never given up.
        """
        ids = list(self._held_up)
        if not ids:
            return 0
        there = self._transactions.run(lambda cursor, heads: still_deferred(cursor, ids))
        for id_ in set(ids) - set(there):
            self._held_up.pop(id_, None)
        return sum(self._release_one(id_, now) for id_ in there)

    def _release_one(self, id_: str, now: int) -> int:
        taken: list[Due] = []
        try:
            return self._release(lambda cursor: take_one(cursor, id_), taken, now)
        except Exception as error:
            if is_outage(error) or not taken:
                raise
            if isinstance(error, StatementTimeout):
                self._held_up[id_] = times = self._held_up.get(id_, 0) + 1
                if attempts_exhausted(times, self._max_tries):
                    self._give_up(taken[0], DeadLetterCode.TOO_SLOW, f"{error}, {times} times by itself", now)
            elif not isinstance(error, Blocked):
                self._give_up(taken[0], *dead_letter_reason(error), now)
        return 0

    def _take_due(self, cursor: Cursor, now: int, limit: int) -> list[Due]:
        due = take_due(cursor, now=now, limit=limit, but=list(self._held_up))
        if due:
            hurry(cursor, lock=min(self._lock, CURT_LOCK) if limit == 1 else self._lock, statement=self._statement)
        return due

    def _release(self, take: Callable[[Cursor], list[Due]], taken: list[Due], now: int) -> int:
        def work(cursor: Cursor, heads: frozenset[str]) -> int:
            taken.clear()
            taken.extend(take(cursor))
            self._keep(cursor, release(cursor, taken, now=now), now, heads)
            return len(taken)

        return self._transactions.run(work)

    def _give_up(self, due: Due, code: str, reason: str, now: int) -> None:
        logger.error("%s: %s", code, reason)
        self._transactions.run(lambda cursor, heads: give_up(cursor, due, code, reason, now=now))
