"""The dispatcher: applies deferred jobs that are due, in as few transactions as it can.

A job that is blocked (by a lock on its user, or by a statement that takes long) must not make the others late. So jobs
are first tried with short timeouts, together and then each by itself. A job that is blocked even so is skipped from
then on, and tried by itself with the full timeouts, in a thread of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from typing import Final

from psycopg import Cursor

from rollbook_shared.errors import Unavailable
from rollbook_shared.job_states import DeadLetterCode
from rollbook_shared.jobs.models import Job
from rollbook_worker.store.deferred_jobs import (
    DueJob,
    discard,
    lock_due,
    lock_one,
    release,
    set_local_timeouts,
    still_deferred,
)
from rollbook_worker.store.retry import Blocked, StatementTimeout, attempts_exhausted, dead_letter_reason, is_outage
from rollbook_worker.store.transactions import Transactions

Write = Callable[[Cursor, Sequence[Job], int, frozenset[str], Mapping[str | None, str]], frozenset[str]]
"""Apply jobs in an open transaction, at a time, after locking these clusters; says where some were sent, by their ids.
It returns the channels of which deliveries were woken.
"""
Lock = Callable[[Cursor, int], list[DueJob]]
"""Lock jobs that are due at a time."""

FIRST_TRY_LOCK_TIMEOUT: Final = timedelta(seconds=1)
FIRST_TRY_STATEMENT_TIMEOUT: Final = timedelta(seconds=2)
"""A job may be a few seconds late. A hundred of them take a tenth of a second if nothing is in the way."""
PROBE_LOCK_TIMEOUT: Final = timedelta(milliseconds=50)
"""For each job by itself, if something is known to be in the way: a hundred jobs of one locked user cost 5 seconds, and
not 100. A job that is blocked loses little, because it is tried again."""

logger = logging.getLogger(__name__)


class Dispatcher:
    """Releases deferred jobs; any number of dispatchers may share the work.

    Each finds out by itself which jobs are blocked, and keeps that in memory: a new one knows nothing of them, loses a
    few seconds with each, and counts from the start.
    """

    def __init__(
        self,
        transactions: Transactions,
        write: Write,
        *,
        lock: timedelta,
        statement: timedelta,
        max_attempts: int,
        on_committed: Callable[[Sequence[Job]], None] = lambda jobs: None,
        on_woken: Callable[[Collection[str]], None] = lambda channels: None,
    ) -> None:
        """Prepare to release with `write`. `lock` and `statement` bound how long a transaction waits; `max_attempts` is
        how often a job may take too long by itself before it becomes a dead letter (0: no limit). `on_committed`
        is called with the jobs of each transaction, after its commit, and `on_woken` with the channels of which it woke
        deliveries; they raise nothing.
        """
        self._on_committed = on_committed
        self._on_woken = on_woken
        self._transactions = transactions
        self._write = write
        self._lock = min(lock, FIRST_TRY_LOCK_TIMEOUT)
        self._statement = min(statement, FIRST_TRY_STATEMENT_TIMEOUT)
        self._max_attempts = max_attempts
        self._blocked: dict[str, int] = {}
        """By id of the job, how often it took too long by itself."""

    def release_due(self, *, now: int | None = None, limit: int = 100) -> int:
        """Apply deferred jobs that are due, `limit` at most, each once however many dispatchers there are; return how
        many.

        A job that cannot be applied is found by halving, and alone becomes a dead letter. One that is blocked is left
        to `release_blocked`.
        """
        locked: list[DueJob] = []
        try:
            return self._release(lambda cursor, at: self._lock_due(cursor, at, limit), locked, now)
        except Blocked as error:
            match locked:
                case []:
                    raise
                case [due]:
                    logger.warning("deferred job %s: %s; trying it by itself", due.id, error, extra={"job_id": due.id})
                    self._blocked[due.id] = 0
                    return 0
                case _:  # halving would meet the same obstacle at every step
                    return sum(self.release_due(now=now, limit=1) for _ in locked)
        except Unavailable:
            raise
        except Exception as error:  # whatever the error, the other jobs that are due must not wait for this one
            if limit == 1 and locked:
                self._discard(locked[0], *dead_letter_reason(error), now)
                return 1
            if limit == 1:
                raise
        half = limit // 2
        return self.release_due(now=now, limit=half) + self.release_due(now=now, limit=limit - half)

    def release_blocked(self, *, now: int | None = None) -> int:
        """Try each job that `release_due` found blocked, by itself; return how many were applied.

        One that takes too long by itself `max_attempts` times becomes a dead letter, `too_slow`; one that waits for a
        lock never does.
        """
        ids = list(self._blocked)
        if not ids:
            return 0
        remaining = self._transactions.run(lambda cursor, at: still_deferred(cursor, ids))
        for id_ in set(ids) - set(remaining):
            self._blocked.pop(id_, None)
        return sum(self._release_one(id_, now) for id_ in remaining)

    def _release_one(self, id_: str, now: int | None) -> int:
        locked: list[DueJob] = []
        try:
            return self._release(lambda cursor, at: lock_one(cursor, id_), locked, now)
        except Exception as error:
            if is_outage(error) or not locked:
                raise
            if isinstance(error, StatementTimeout):
                self._blocked[id_] = times = self._blocked.get(id_, 0) + 1
                if attempts_exhausted(times, self._max_attempts):
                    self._discard(locked[0], DeadLetterCode.TOO_SLOW, f"{error}, {times} times by itself", now)
            elif not isinstance(error, Blocked):
                self._discard(locked[0], *dead_letter_reason(error), now)
        return 0

    def _lock_due(self, cursor: Cursor, now: int, limit: int) -> list[DueJob]:
        due = lock_due(cursor, now=now, limit=limit, but=list(self._blocked))
        if due:
            lock = min(self._lock, PROBE_LOCK_TIMEOUT) if limit == 1 else self._lock
            set_local_timeouts(cursor, lock=lock, statement=self._statement)
        return due

    def _release(self, lock: Lock, locked: list[DueJob], now: int | None) -> int:
        def work(cursor: Cursor, at: int, roots: frozenset[str]) -> tuple[list[Job], frozenset[str]]:
            locked.clear()
            locked.extend(lock(cursor, at))
            released = release(cursor, locked, now=at)
            traces: dict[str | None, str] = {
                due.id: due.arrival.trace for due in locked if due.arrival.trace is not None
            }
            return released, self._write(cursor, released, at, roots, traces)

        released, woken = self._transactions.run_locking(work, now=now)
        if released:
            self._on_committed(released)
        if woken:
            self._on_woken(woken)
        return len(locked)

    def _discard(self, due: DueJob, code: str, reason: str, now: int | None) -> None:
        logger.error("%s: %s", code, reason)
        self._transactions.run(lambda cursor, at: discard(cursor, due, code, reason, now=at), now=now)
