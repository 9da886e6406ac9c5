"""A dispatcher: applies deferred jobs that are due, in as few transactions as it can."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from psycopg import Cursor

from rollcall_shared.errors import Unavailable
from rollcall_shared.jobs import Job
from rollcall_worker.retrying import why_dead
from rollcall_worker.store.deferring import Due, give_up, release, take_due
from rollcall_worker.store.running import Transactions

Keep = Callable[[Cursor, Sequence[Job], int, frozenset[str]], None]
"""Apply jobs in an open transaction, at a time, holding these families."""

logger = logging.getLogger(__name__)


class Dispatcher:
    """Releases deferred jobs; any number of them may share the work."""

    def __init__(self, transactions: Transactions, keep: Keep) -> None:
        self._transactions = transactions
        self._keep = keep

    def release_due(self, *, now: int, limit: int) -> int:
        """Apply deferred jobs that are due, `limit` at most; return how many.

        One that cannot be kept is found by halving, and dies alone.
        """
        taken: list[Due] = []
        try:
            return self._transactions.run(lambda cursor, heads: self._release(cursor, now, limit, heads, taken))
        except Unavailable:
            raise
        except Exception as error:  # whatever it is, the others that are due are not to wait for it
            if limit == 1 and taken:
                self._give_up(taken[0], error, now)
                return 1
            if limit == 1:
                raise
        half = limit // 2
        return self.release_due(now=now, limit=half) + self.release_due(now=now, limit=limit - half)

    def _release(self, cursor: Cursor, now: int, limit: int, heads: frozenset[str], taken: list[Due]) -> int:
        taken[:] = take_due(cursor, now=now, limit=limit)
        self._keep(cursor, release(cursor, taken, now=now), now, heads)
        return len(taken)

    def _give_up(self, due: Due, error: Exception, now: int) -> None:
        code, reason = why_dead(error)
        logger.error("%s: %s", code, reason)
        self._transactions.run(lambda cursor, heads: give_up(cursor, due, code, reason, now=now))
