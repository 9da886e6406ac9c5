"""The store on Postgres: what `apply` promises, kept also for jobs that Postgres cannot hold."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from psycopg import Cursor

from rollbook_shared.database.erasure_keys import require_erasure_key
from rollbook_shared.database.schema import DEFAULT_SCHEMA
from rollbook_shared.database.statements import load
from rollbook_shared.database.user_sizes import UserSize, find_sizes
from rollbook_shared.domain.stamps import Stamp, stamp_floor
from rollbook_shared.errors import Unavailable, Undecodable
from rollbook_shared.jobs.models import Job, Trigger
from rollbook_shared.registry import Registry, RegistryFile
from rollbook_shared.settings import DEFAULT_KEY, Settings
from rollbook_worker.core import Facts, facts_of
from rollbook_worker.store.cleanup import Cleanup
from rollbook_worker.store.deferred_jobs import set_local_timeouts
from rollbook_worker.store.deliveries import DeliveryExists
from rollbook_worker.store.due_jobs import Dispatcher
from rollbook_worker.store.fact_writer import (
    NO_ROOTS,
    NO_TRACES,
    UpsertedUser,
    Written,
    finish_identifies,
    lock_clusters_of,
    write,
)
from rollbook_worker.store.history_months import CHECK_TIMEOUT, LOCK_TIMEOUT, HistoryMonths
from rollbook_worker.store.inbox import dead_letter, dead_outcome, deduplicate, keep_dead_letters, record_skipped
from rollbook_worker.store.late_triggers import find_too_old, record_too_old, without_history
from rollbook_worker.store.measurements import MeasurementLog
from rollbook_worker.store.received_jobs import Outcome, ReceivedJob
from rollbook_worker.store.retry import Contention, dead_letter_reason
from rollbook_worker.store.rows import Row
from rollbook_worker.store.stored_jobs import earliest_requests
from rollbook_worker.store.tombstones import LATE, earliest_stamps, restore_tombstones
from rollbook_worker.store.transactions import Transactions
from rollbook_worker.store.user_columns import identify_columns
from rollbook_worker.store.user_sizes import check_sizes

RECIPIENTS_TIMEOUT: Final = timedelta(milliseconds=200)
"""Of a look by primary keys, which must delay no job."""
_HISTORY: Final = load(__package__, "history")
_MICROSECOND: Final = timedelta(microseconds=1)

logger = logging.getLogger(__name__)


class PostgresStore:
    """Keeps users in Postgres. Threads may share one; each has a connection of its own.

    `dispatcher` releases deferred jobs, `cleanup` removes what need not be kept, and `history_months` makes partitions
    and drops them; maintenance calls all three. Every
    method is a transaction, or several, that may be run again after any failure, and by many processes at once; each
    raises `Unavailable` if Postgres is away, too slow, or other transactions were in the way again and again. The time
    is that of Postgres' clock; `now`, in microseconds since 1970, is one to use instead.
    """

    def __init__(
        self,
        database_url: str,
        *,
        schema: str = DEFAULT_SCHEMA,
        history: timedelta = timedelta(days=30),
        max_clock_skew: timedelta = timedelta(minutes=5),
        erasure_delay: timedelta = timedelta(hours=24),
        job_retention: timedelta = timedelta(days=7),
        dead_letter_retention: timedelta = timedelta(days=30),
        message_retention: timedelta | None = None,
        console_audit_retention: timedelta = timedelta(days=365),
        erasure_keys: Sequence[str] = (DEFAULT_KEY,),
        lock_timeout: timedelta = timedelta(seconds=5),
        statement_timeout: timedelta = timedelta(seconds=30),
        max_deliveries: int = 5,
        max_user_bytes: int = 4 * 1024 * 1024,
        registry: Callable[[], Registry] | None = None,
        on_contention: Callable[[Contention], None] = lambda contention: None,
        on_committed: Callable[[Sequence[Job]], None] = lambda jobs: None,
        on_woken: Callable[[Collection[str]], None] = lambda channels: None,
    ) -> None:
        """Prepare to keep users in the schema, which `rollbook migrate` has made; connects when first needed.

        The times are those of `rollbook_shared.settings.Settings`, which says what each means; all stores of one
        database must have the same `history` and `erasure_delay`, and know the same `erasure_keys`, of which the first
        is the one that receipts are written with.

        registry: the channels and workflows as they are now; of messages on a channel that is delivered, deliveries
            are made. None: there is no registry, and nothing is delivered.
        on_contention: called each time that another transaction is in the way.
        on_committed: called with the jobs of each transaction, after its commit; also with duplicates, whose worker may
            have died before it was called. It raises nothing.
        on_woken: called with the keys of channels, after a commit that lets deliveries be sent which had waited for
            their recipient. It raises nothing.
        """
        self._transactions = Transactions(
            database_url,
            schema=schema,
            lock=lock_timeout,
            statement=statement_timeout,
            on_connect=lambda connection: require_erasure_key(connection, erasure_keys),
            on_contention=on_contention,
        )
        self._history = history // _MICROSECOND
        self._max_clock_skew = max_clock_skew // _MICROSECOND
        self._erasure_delay = erasure_delay // _MICROSECOND
        self._message_retention = None if message_retention is None else message_retention // _MICROSECOND
        self._late = min(LATE, erasure_delay // 2) // _MICROSECOND
        self._erasure_keys = erasure_keys
        self._max_user_bytes = max_user_bytes
        self._registry = registry
        self._look_for_deliveries = False
        """Whether a new message had a delivery already, as hardly ever one has."""
        self._on_committed = on_committed
        self._on_woken = on_woken
        self.dispatcher = Dispatcher(
            self._transactions,
            self._write,
            lock=lock_timeout,
            statement=statement_timeout,
            max_attempts=max_deliveries,
            on_committed=on_committed,
            on_woken=on_woken,
        )
        self.cleanup = Cleanup(
            self._transactions,
            history=history,
            erasure_delay=erasure_delay,
            erasure_key=erasure_keys[0],
            job_retention=job_retention,
            dead_letter_retention=dead_letter_retention,
            console_audit_retention=console_audit_retention,
        )
        self._steps = Transactions(database_url, schema=schema, lock=LOCK_TIMEOUT, statement=CHECK_TIMEOUT)
        self.history_months = HistoryMonths(
            self._transactions, self._steps, retention=message_retention, max_clock_skew=self._max_clock_skew
        )
        self.measurements = MeasurementLog(self._transactions, erasure_delay=erasure_delay)

    @classmethod
    def from_settings(
        cls,
        settings: Settings,
        on_contention: Callable[[Contention], None] = lambda contention: None,
        on_committed: Callable[[Sequence[Job]], None] = lambda jobs: None,
        on_woken: Callable[[Collection[str]], None] = lambda channels: None,
    ) -> PostgresStore:
        """The store that the settings describe; the functions are those of `PostgresStore`.

        Raises:
            NotConfigured: there is no database URL, or the registry cannot be read or is invalid.
        """
        return cls(
            settings.need_database_url(),
            schema=settings.schema,
            history=settings.merge_history,
            max_clock_skew=settings.limits.max_clock_skew,
            erasure_delay=settings.erasure_delay,
            job_retention=settings.job_retention,
            dead_letter_retention=settings.dead_letter_retention,
            message_retention=settings.message_retention,
            console_audit_retention=settings.console_audit_retention,
            erasure_keys=settings.erasure_keys,
            lock_timeout=settings.lock_timeout,
            statement_timeout=settings.statement_timeout,
            max_deliveries=settings.max_deliveries,
            max_user_bytes=settings.limits.max_user_bytes,
            registry=RegistryFile(settings.registry).latest if settings.registry else None,
            on_contention=on_contention,
            on_committed=on_committed,
            on_woken=on_woken,
        )

    def apply(self, arrivals: Sequence[ReceivedJob], *, now: int | None = None) -> list[Outcome]:
        """See `Store.apply`. A job that cannot be applied is found by halving, and alone becomes a dead letter.

        Raises:
            Unavailable: see `Store.apply`; if the batch was halved before, some of the jobs may have been applied.
        """
        if not arrivals:
            return []
        try:
            outcomes, woken = self._transactions.run_locking(
                lambda cursor, at, roots: self._apply(cursor, arrivals, at, roots), now=now
            )
        except Unavailable:
            raise
        except Exception as error:  # whatever the error, it must not affect the other jobs of the batch
            if len(arrivals) == 1:
                return [self._dead_letter(arrivals[0], error, now)]
            half = len(arrivals) // 2
            return [*self.apply(arrivals[:half], now=now), *self.apply(arrivals[half:], now=now)]
        if woken:
            self._on_woken(woken)
        self._on_committed([arrival.job for arrival in arrivals if not isinstance(arrival.job, Undecodable)])
        return outcomes

    def now(self) -> int:
        """The time by Postgres' clock."""
        return self._transactions.run(lambda cursor, now: now)

    def find_recipients(self, message_ids: Collection[UUID]) -> set[str]:
        """To whom these messages were addressed, without those that do not exist.

        Raises:
            Unavailable: see `Store.apply`; it waits no longer than `RECIPIENTS_TIMEOUT`.
        """

        def find(cursor: Cursor, now: int) -> set[str]:
            set_local_timeouts(cursor, lock=RECIPIENTS_TIMEOUT, statement=RECIPIENTS_TIMEOUT)
            cursor.execute(_HISTORY["select_recipients"], {"ids": list(message_ids)})
            return {recipient for (recipient,) in cursor}

        return self._transactions.run(find)

    def close(self) -> None:
        """Close this thread's connections."""
        self._transactions.close()
        self._steps.close()

    def _apply(
        self, cursor: Cursor, arrivals: Sequence[ReceivedJob], now: int, roots: frozenset[str]
    ) -> tuple[list[Outcome], frozenset[str]]:
        skew = self._max_clock_skew
        # clusters that an earlier attempt had not locked are locked before any user is
        identifies = None if roots else identify_columns(arrivals, now=now, max_clock_skew=skew)
        deduplicated = deduplicate(cursor, arrivals, now=now, max_clock_skew=skew, identifies=identifies)
        done = [job for job in deduplicated.to_apply if job.id in deduplicated.with_users]
        rest = [job for job in deduplicated.to_apply if job.id not in deduplicated.with_users]
        woken = self._finish_identifies(cursor, done, deduplicated.upserted, now, roots) if done else frozenset()
        traces = {arrival.job_id: arrival.trace for arrival in arrivals if arrival.trace is not None}
        if rest:
            woken |= self._write(cursor, rest, now, roots, traces, deduplicated.cluster_roots)
        if deduplicated.stored:
            self._check_late_requests(cursor, deduplicated.stored, now, roots)
        return deduplicated.outcomes, woken

    def _write(
        self,
        cursor: Cursor,
        jobs: Sequence[Job],
        now: int,
        roots: frozenset[str],
        traces: Mapping[str | None, str] = NO_TRACES,
        known_roots: Mapping[str, str | None] = NO_ROOTS,
    ) -> frozenset[str]:
        """Apply the jobs; return the channels of which deliveries were woken. `traces`: where some jobs were sent;
        `known_roots`: to which clusters some users belong.
        """
        late_before = self._late_before(now)
        facts = [fact for job in jobs for fact in facts_of(job)]
        # by the class itself: of each other job `isinstance` would ask pydantic, in Python
        triggers = [job for job in jobs if type(job) is Trigger]
        if triggers and (
            too_old := find_too_old(cursor, triggers, kept_from=self._kept_from(now), late_before=late_before)
        ):
            record_too_old(cursor, too_old)
            facts = without_history(facts, too_old)
            triggers = [job for job in triggers if job.id not in too_old]
        if not facts:
            return frozenset()
        written = self._write_facts(cursor, facts, now, roots, traces, known_roots)
        if late := [fact for fact in facts if fact.stamp < late_before]:
            self._restore_tombstones(cursor, earliest_stamps(late), written.locked, now, roots)
        if triggers:
            record_skipped(cursor, triggers)
        if large := written.may_be_large:
            check_sizes(cursor, large, jobs=jobs, most=self._max_user_bytes, committed=self._committed_sizes)
        return written.woken

    def _finish_identifies(
        self, cursor: Cursor, jobs: Sequence[Job], upserted: list[UpsertedUser], now: int, roots: frozenset[str]
    ) -> frozenset[str]:
        """The rest of what `_write` does for identifies whose users were upserted as they were entered."""
        written = finish_identifies(
            cursor,
            [user_id for job in jobs for user_id in job.user_ids],
            upserted,
            horizon=self._horizon(now),
            registry=self._registry and self._registry(),
            now=now,
        )
        if late := [job for job in jobs if job.occurred_at < now - self._late]:
            earliest = earliest_stamps(fact for job in late for fact in facts_of(job))
            self._restore_tombstones(cursor, earliest, written.locked, now, roots)
        if large := written.may_be_large:
            check_sizes(cursor, large, jobs=jobs, most=self._max_user_bytes, committed=self._committed_sizes)
        return written.woken

    def _committed_sizes(self, ids: Collection[str]) -> list[UserSize]:
        return self._transactions.read_committed(lambda cursor: find_sizes(cursor, ids))

    def _check_late_requests(self, cursor: Cursor, stored: Sequence[Row], now: int, roots: frozenset[str]) -> None:
        """A deferred job or a dead letter that arrives after the erasure of a user it names waits for the next one."""
        late_before = self._late_before(now)
        late = {user_id: stamp for user_id, stamp in earliest_requests(stored).items() if stamp < late_before}
        if late:
            self._restore_tombstones(cursor, late, set(), now, roots)

    def _kept_from(self, now: int) -> Stamp:
        """Triggers from before this make no messages."""
        return Stamp("") if self._message_retention is None else stamp_floor(now - self._message_retention)

    def _late_before(self, now: int) -> Stamp:
        return stamp_floor(now - self._late)

    def _horizon(self, now: int) -> Stamp:
        """No delete from before this is expected any more."""
        return stamp_floor(now - self._erasure_delay)

    def _restore_tombstones(
        self, cursor: Cursor, earliest: Mapping[str, Stamp], locked: set[str], now: int, roots: frozenset[str]
    ) -> None:
        # not before they are locked: an erasure that was under way has left its receipt by then
        if others := earliest.keys() - locked:  # named by the rows of triggers only, or by stored jobs
            lock_clusters_of(cursor, others)
        self._write_facts(cursor, restore_tombstones(cursor, earliest, keys=self._erasure_keys), now, roots)

    def _write_facts(
        self,
        cursor: Cursor,
        facts: Iterable[Facts],
        now: int,
        roots: frozenset[str],
        traces: Mapping[str | None, str] = NO_TRACES,
        known_roots: Mapping[str, str | None] = NO_ROOTS,
    ) -> Written:
        try:
            return write(
                cursor,
                facts,
                history=self._history,
                horizon=self._horizon(now),
                roots=roots,
                known_roots=known_roots,
                registry=self._registry and self._registry(),
                now=now,
                traces=traces,
                look_for_deliveries=self._look_for_deliveries,
            )
        except DeliveryExists:
            self._look_for_deliveries = True
            raise

    def _dead_letter(self, arrival: ReceivedJob, error: Exception, now: int | None) -> Outcome:
        code, reason = dead_letter_reason(error)
        logger.error("%s: %s", code, reason)

        def keep(cursor: Cursor, at: int, roots: frozenset[str]) -> None:
            row = dead_letter(arrival, code, reason, at)
            keep_dead_letters(cursor, [row], at)
            self._check_late_requests(cursor, [row], at, roots)

        self._transactions.run_locking(keep, now=now)
        return dead_outcome(arrival, code)
