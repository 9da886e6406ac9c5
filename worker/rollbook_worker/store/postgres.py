"""The store on Postgres: what `apply` promises, kept also for jobs that Postgres cannot hold."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

from psycopg import Cursor

from rollbook_shared.domain.stamps import stamp_floor
from rollbook_shared.errors import Unavailable
from rollbook_shared.jobs.models import Job
from rollbook_shared.settings import Settings
from rollbook_worker.core import facts_of
from rollbook_worker.store.cleanup import Cleanup
from rollbook_worker.store.due_jobs import Dispatcher
from rollbook_worker.store.fact_writer import lock_clusters_of, write
from rollbook_worker.store.inbox import dead_letter, dead_outcome, deduplicate, keep_dead_letters, record_skipped
from rollbook_worker.store.received_jobs import Outcome, ReceivedJob
from rollbook_worker.store.retry import Contention, dead_letter_reason
from rollbook_worker.store.tombstones import LATE_FRACTION, earliest_stamps, restore_tombstones
from rollbook_worker.store.transactions import Transactions

_MICROSECOND: Final = timedelta(microseconds=1)

logger = logging.getLogger(__name__)


class PostgresStore:
    """Keeps users in Postgres. Threads may share one; each has a connection of its own.

    `dispatcher` releases deferred jobs, and `cleanup` removes what need not be kept; maintenance calls both. Every
    method is a transaction, or several, that may be run again after any failure, and by many processes at once; each
    raises `Unavailable` if Postgres is away, too slow, or other transactions were in the way again and again. `now` is
    always in microseconds since 1970.
    """

    def __init__(
        self,
        database_url: str,
        *,
        history: timedelta = timedelta(days=30),
        max_clock_skew: timedelta = timedelta(minutes=5),
        erasure_delay: timedelta = timedelta(hours=24),
        job_retention: timedelta = timedelta(days=7),
        dead_letter_retention: timedelta = timedelta(days=30),
        erasure_key: str = "rollbook",
        lock_timeout: timedelta = timedelta(seconds=5),
        statement_timeout: timedelta = timedelta(seconds=30),
        max_deliveries: int = 5,
        on_contention: Callable[[Contention], None] = lambda contention: None,
    ) -> None:
        """Prepare to keep users in the database, whose schema `rollbook migrate` has made; connects when first needed.

        The times are those of `rollbook_shared.settings.Settings`, which says what each means; all stores of one
        database must have the same `history`, `erasure_delay` and `erasure_key`.

        on_contention: called each time that another transaction is in the way.
        """
        self._transactions = Transactions(
            database_url, lock=lock_timeout, statement=statement_timeout, on_contention=on_contention
        )
        self._history = history // _MICROSECOND
        self._max_clock_skew = max_clock_skew // _MICROSECOND
        self._erasure_delay = erasure_delay // _MICROSECOND
        self._erasure_key = erasure_key
        self.dispatcher = Dispatcher(
            self._transactions,
            self._write,
            lock=lock_timeout,
            statement=statement_timeout,
            max_attempts=max_deliveries,
        )
        self.cleanup = Cleanup(
            self._transactions,
            history=history,
            erasure_delay=erasure_delay,
            erasure_key=erasure_key,
            job_retention=job_retention,
            dead_letter_retention=dead_letter_retention,
        )

    @classmethod
    def from_settings(
        cls, settings: Settings, on_contention: Callable[[Contention], None] = lambda contention: None
    ) -> PostgresStore:
        """The store that the settings describe; `on_contention` is called each time that another transaction is in the
        way.

        Raises:
            NotConfigured: there is no database URL.
        """
        return cls(
            settings.need_database_url(),
            history=settings.merge_history,
            max_clock_skew=settings.limits.max_clock_skew,
            erasure_delay=settings.erasure_delay,
            job_retention=settings.job_retention,
            dead_letter_retention=settings.dead_letter_retention,
            erasure_key=settings.erasure_key,
            lock_timeout=settings.lock_timeout,
            statement_timeout=settings.statement_timeout,
            max_deliveries=settings.max_deliveries,
            on_contention=on_contention,
        )

    def apply(self, arrivals: Sequence[ReceivedJob], *, now: int) -> list[Outcome]:
        """See `Store.apply`. A job that cannot be applied is found by halving, and alone becomes a dead letter.

        Raises:
            Unavailable: see `Store.apply`; if the batch was halved before, some of the jobs may have been applied.
        """
        if not arrivals:
            return []
        try:
            return self._transactions.run_locking(lambda cursor, roots: self._apply(cursor, arrivals, now, roots))
        except Unavailable:
            raise
        except Exception as error:  # whatever the error, it must not affect the other jobs of the batch
            if len(arrivals) == 1:
                return [self._dead_letter(arrivals[0], error, now)]
        half = len(arrivals) // 2
        return [*self.apply(arrivals[:half], now=now), *self.apply(arrivals[half:], now=now)]

    def close(self) -> None:
        """Close this thread's connection."""
        self._transactions.close()

    def _apply(self, cursor: Cursor, arrivals: Sequence[ReceivedJob], now: int, roots: frozenset[str]) -> list[Outcome]:
        deduplicated = deduplicate(cursor, arrivals, now=now, max_clock_skew=self._max_clock_skew)
        self._write(cursor, deduplicated.to_apply, now, roots)
        return deduplicated.outcomes

    def _write(self, cursor: Cursor, jobs: Sequence[Job], now: int, roots: frozenset[str]) -> None:
        facts = [fact for job in jobs for fact in facts_of(job)]
        if facts:
            horizon = stamp_floor(now - self._erasure_delay)
            locked = write(cursor, facts, history=self._history, horizon=horizon, roots=roots)
            late_before = stamp_floor(now - self._erasure_delay // LATE_FRACTION)
            if late := [fact for fact in facts if fact.stamp < late_before]:
                # not before they are locked: an erasure that was under way has left its receipt by then
                earliest = earliest_stamps(late)
                if others := earliest.keys() - locked:  # named by the rows of triggers only
                    lock_clusters_of(cursor, others)
                erased = restore_tombstones(cursor, earliest, key=self._erasure_key)
                write(cursor, erased, history=self._history, horizon=horizon, roots=roots)
            record_skipped(cursor, jobs)

    def _dead_letter(self, arrival: ReceivedJob, error: Exception, now: int) -> Outcome:
        code, reason = dead_letter_reason(error)
        logger.error("%s: %s", code, reason)
        row = dead_letter(arrival, code, reason)
        self._transactions.run(lambda cursor: keep_dead_letters(cursor, [row], now))
        return dead_outcome(arrival, code)
