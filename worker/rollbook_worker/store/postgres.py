"""The store on Postgres: what `apply` promises, kept through jobs that Postgres cannot hold."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

from psycopg import Cursor

from rollbook_shared.domain.stamps import Stamp, stamp_floor
from rollbook_shared.errors import Unavailable
from rollbook_shared.jobs.models import Job
from rollbook_shared.settings import Settings
from rollbook_worker.core import pieces_of
from rollbook_worker.store.compaction import BEGINNING, Place, compact_sightings
from rollbook_worker.store.dispatcher import Dispatcher
from rollbook_worker.store.erasure import erase, erase_left_behind, settled_users
from rollbook_worker.store.fact_writer import hold_families_of, write
from rollbook_worker.store.inbox import bury, dead, deduplicate, letter
from rollbook_worker.store.received_jobs import Outcome, ReceivedJob
from rollbook_worker.store.retention import prune_dead_letters, prune_jobs
from rollbook_worker.store.retry import Contention, dead_letter_reason, is_outage
from rollbook_worker.store.skipped_recipients import tell_skipped
from rollbook_worker.store.tombstones import CAUTION, late, restored
from rollbook_worker.store.transactions import Transactions

_MICROSECOND: Final = timedelta(microseconds=1)

logger = logging.getLogger(__name__)


class PostgresStore:
    """Keeps users in Postgres. Threads may share one; each has a connection of its own.

    Every method is a transaction, or several, that may be run again after any failure, and by many processes at once;
    each raises `Unavailable` when Postgres is away, too slow, or other transactions were in the way again and again.
    `now` is always in microseconds since 1970.
    """

    def __init__(
        self,
        database_url: str,
        *,
        history: timedelta = timedelta(days=30),
        future: timedelta = timedelta(minutes=5),
        settling: timedelta = timedelta(hours=24),
        outcomes: timedelta = timedelta(days=7),
        dead_letters: timedelta = timedelta(days=30),
        erasure_key: str = "rollbook",
        lock_timeout: timedelta = timedelta(seconds=5),
        statement_timeout: timedelta = timedelta(seconds=30),
        max_deliveries: int = 5,
        hindered: Callable[[Contention], None] = lambda by: None,
    ) -> None:
        """Prepare to keep users in the database, whose schema `rollbook migrate` has made; connects when first needed.

        The times are those of `rollbook_shared.settings.Settings`, which says what each means; all stores of one
        database must have the same `history`, `settling` and `erasure_key`.

        hindered: is told when other transactions are in the way, each time.
        """
        self._transactions = Transactions(
            database_url, lock=lock_timeout, statement=statement_timeout, hindered=hindered
        )
        self._history = history // _MICROSECOND
        self._future = future // _MICROSECOND
        self._settling = settling // _MICROSECOND
        self._outcomes = outcomes // _MICROSECOND
        self._dead_letters = dead_letters // _MICROSECOND
        self._erasure_key = erasure_key
        self._looked_at = stamp_floor(0)
        """How far erasure has come; it begins again when it has come to the end."""
        self._dispatcher = Dispatcher(
            self._transactions,
            self._keep,
            lock=lock_timeout,
            statement=statement_timeout,
            max_tries=max_deliveries,
        )

    @classmethod
    def from_settings(
        cls, settings: Settings, hindered: Callable[[Contention], None] = lambda by: None
    ) -> PostgresStore:
        """The store that the settings describe; `hindered` is told when other transactions are in its way.

        Raises:
            NotConfigured: there is no database URL.
        """
        return cls(
            settings.need_database_url(),
            history=settings.merge_history,
            future=settings.limits.max_clock_skew,
            settling=settings.erasure_delay,
            outcomes=settings.job_retention,
            dead_letters=settings.dead_letter_retention,
            erasure_key=settings.erasure_key,
            lock_timeout=settings.lock_timeout,
            statement_timeout=settings.statement_timeout,
            max_deliveries=settings.max_deliveries,
            hindered=hindered,
        )

    def apply(self, arrivals: Sequence[ReceivedJob], *, now: int) -> list[Outcome]:
        """See `Store.apply`. A job that cannot be kept is found by halving, and dies alone.

        Raises:
            Unavailable: see `Store.apply`; some of the jobs may have been kept, where one of them made it halve.
        """
        if not arrivals:
            return []
        try:
            return self._transactions.run(lambda cursor, heads: self._apply(cursor, arrivals, now, heads))
        except Unavailable:
            raise
        except Exception as error:  # whatever it is, the others in the batch are not to suffer for it
            if len(arrivals) == 1:
                return [self._bury(arrivals[0], error, now)]
        half = len(arrivals) // 2
        return [*self.apply(arrivals[:half], now=now), *self.apply(arrivals[half:], now=now)]

    def release_due(self, *, now: int, limit: int = 100) -> int:
        """Apply deferred jobs that are due, once each however many dispatchers there are; return how many.

        One that cannot be kept dies alone. One that something is in the way of is left to `release_held_up`.
        """
        return self._dispatcher.release_due(now=now, limit=limit)

    def release_held_up(self, *, now: int) -> int:
        """Apply deferred jobs that `release_due` found held up, each by itself; return how many.

        One that took too long by itself `max_deliveries` times becomes a dead letter, `too_slow`.
        """
        return self._dispatcher.release_held_up(now=now)

    def erase_settled(self, *, now: int, limit: int = 100) -> int:
        """Erase users whose delete has settled, `limit` deletes a call; return how many were looked at.

        One who cannot be erased is passed over, and met again when all behind have been looked at.

        Raises:
            Unavailable: see above; at once, unless it is one user who is held up.
            Exception: why somebody was passed over; the others of this call are erased.
        """
        horizon = stamp_floor(now - self._settling)
        after, passed_over = self._looked_at, None
        page = self._transactions.run(
            lambda cursor, heads: settled_users(cursor, after=after, horizon=horizon, limit=limit)
        )
        for user in dict.fromkeys(user for user, _ in page):
            try:
                self._erase(user, horizon, now)
            except Exception as error:  # whatever it is, the others are not to wait for it
                if is_outage(error):
                    raise
                passed_over = error
        self._looked_at = page[-1][1] if len(page) == limit else stamp_floor(0)
        if passed_over:
            raise passed_over
        return len(page)

    def erase_at_once(self, user_id: str, *, now: int) -> dict[str, int]:
        """Erase a deleted user without waiting for its delete to settle; return how many rows of each table.

        What was told and sent goes; the bare fact of the delete stays until it has settled, for jobs from before it
        may still arrive. Does nothing for a user who was not deleted.
        """
        return self._erase(user_id, stamp_floor(now), now)

    def _erase(self, user_id: str, horizon: Stamp, now: int) -> dict[str, int]:
        settled = stamp_floor(now - self._settling)
        return self._transactions.run(
            lambda cursor, heads: erase(
                cursor,
                user_id,
                horizon=horizon,
                settled=settled,
                history=self._history,
                key=self._erasure_key,
                now=now,
            )
        )

    def compact(self, *, now: int, limit: int = 1_000) -> int:
        """Take away lists of sightings that can decide nothing any more, `limit` a transaction; return how many."""
        horizon, taken = stamp_floor(now - self._settling), 0
        after: Place | None = BEGINNING
        while after is not None:
            some, after = self._transactions.run(
                lambda cursor, heads, after=after: compact_sightings(  # type: ignore[misc]
                    cursor, horizon=horizon, after=after, limit=limit
                )
            )
            taken += some
        return taken

    def erase_left_behind(self, *, now: int, limit: int = 1_000) -> int:
        """Erase the history that merges left behind, `limit` spans a transaction; return how many rows."""
        horizon, erased = stamp_floor(now - self._settling), 0
        after: tuple[str, str] | None = ("", "")
        while after is not None:
            rows, after = self._transactions.run(
                lambda cursor, heads, after=after: erase_left_behind(  # type: ignore[misc]
                    cursor, horizon=horizon, after=after, limit=limit
                )
            )
            erased += rows
        return erased

    def prune_jobs(self, *, now: int, limit: int = 1_000) -> int:
        """Forget outcomes older than their retention, at most `limit`; return how many."""
        horizon = now - self._outcomes
        return self._transactions.run(lambda cursor, heads: prune_jobs(cursor, horizon=horizon, limit=limit))

    def prune_dead_letters(self, *, now: int, limit: int = 100) -> int:
        """Forget dead letters older than their retention, at most `limit`; return how many."""
        horizon = now - self._dead_letters
        return self._transactions.run(lambda cursor, heads: prune_dead_letters(cursor, horizon=horizon, limit=limit))

    def close(self) -> None:
        """Close this thread's connection."""
        self._transactions.close()

    def _apply(self, cursor: Cursor, arrivals: Sequence[ReceivedJob], now: int, heads: frozenset[str]) -> list[Outcome]:
        admission = deduplicate(cursor, arrivals, now=now, future=self._future)
        self._keep(cursor, admission.to_apply, now, heads)
        return admission.outcomes

    def _keep(self, cursor: Cursor, jobs: Sequence[Job], now: int, heads: frozenset[str]) -> None:
        facts = [fact for job in jobs for fact in pieces_of(job)]
        if facts:
            horizon = stamp_floor(now - self._settling)
            held = write(cursor, facts, history=self._history, horizon=horizon, heads=heads)
            if named := late(facts, horizon=stamp_floor(now - self._settling // CAUTION)):
                # only now that they are held: whatever erased one of them meanwhile has left its receipt
                if others := named.keys() - held:  # whom only a trigger's rows name
                    hold_families_of(cursor, others)
                erased = restored(cursor, named, key=self._erasure_key)
                write(cursor, erased, history=self._history, horizon=horizon, heads=heads)
            tell_skipped(cursor, jobs)

    def _bury(self, arrival: ReceivedJob, error: Exception, now: int) -> Outcome:
        code, reason = dead_letter_reason(error)
        logger.error("%s: %s", code, reason)
        self._transactions.run(lambda cursor, heads: bury(cursor, [letter(arrival, code, reason)], now))
        return dead(arrival, code)
