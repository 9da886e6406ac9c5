"""A store in memory: the core with deduplication, under the same contract as the store on Postgres."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from tests.support.builders import DAY
from tests.support.facts import single_facts_of
from tests.support.projected_world import HISTORY, existed_at, owner_at, world_of

from rollbook_shared.domain.stamps import stamp_floor
from rollbook_shared.errors import Problem, Undecodable
from rollbook_shared.job_states import JobState, StandingJob
from rollbook_shared.jobs.codec import unidentified_id
from rollbook_shared.jobs.models import BulkDelete, BulkIdentify, BulkSetPreferences, Job
from rollbook_shared.json_values import encode_json
from rollbook_shared.reference.world import World
from rollbook_worker.core import (
    ActivityCreated,
    MessageCreated,
    PreferencesUpdated,
    ProfileKeySet,
    PushTokenChanged,
    PushTokenSent,
    Registers,
    UserDeleted,
    UsersMerged,
    cluster_roots,
    join,
    project,
)
from rollbook_worker.store import Outcome, ReceivedJob

FUTURE: Final = timedelta(minutes=5)
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(slots=True)
class Entry:
    """How a job ended."""

    digest: bytes
    kind: str
    state: JobState
    duplicates: int = 0
    detail: dict[str, Any] | None = None


def no_clock() -> int:
    raise AssertionError("this store has no clock")


@dataclass(slots=True)
class MemoryStore:
    """Keeps users in memory, for as long as it lives."""

    kept: Registers = field(default_factory=dict)
    jobs: dict[str, Entry] = field(default_factory=dict)
    deferred: dict[str, Job] = field(default_factory=dict)
    dead: dict[tuple[str, bytes], str] = field(default_factory=dict)
    """Job id and digest to the code of why."""
    max_user_bytes: int = 4 * 1024 * 1024
    clock: Callable[[], int] = no_clock
    """The present time in microseconds since 1970, for jobs that come without one."""

    def apply(self, arrivals: Sequence[ReceivedJob], *, now: int | None = None) -> list[Outcome]:
        now = self.clock() if now is None else now
        outcomes = [self._apply(arrival, now) for arrival in arrivals]
        applied = {outcome.job_id for outcome in outcomes if outcome.state is JobState.APPLIED}
        self._record_skipped(
            arrival.job
            for arrival in arrivals
            if not isinstance(arrival.job, Undecodable) and arrival.job.id in applied
        )
        return outcomes

    def release_due(self, *, now: int, limit: int = 100) -> int:
        due = sorted(
            (job for job in self.deferred.values() if job.occurred_at <= now), key=lambda job: (job.occurred_at, job.id)
        )
        for job in due[:limit]:
            del self.deferred[job.id]
            self.jobs[job.id].state = state = _state_when_due(job)
            if state is JobState.APPLIED:
                join(self.kept, single_facts_of(job))
        self._record_skipped(due[:limit])
        return len(due[:limit])

    def forget_unknown_recipients(self, *, now: int) -> None:
        """Drop the rows of recipients that stood for no user when their trigger, older than a day, ran."""
        horizon = stamp_floor(now - DAY)
        projection = project(self.kept.values(), HISTORY // _MICROSECOND)
        self.kept = {
            key: fact
            for key, fact in self.kept.items()
            if not isinstance(fact, (ActivityCreated, MessageCreated))
            or fact.stamp >= horizon
            or existed_at(projection, fact.recipient, fact.stamp)
        }

    def world(self) -> World:
        return world_of(self.kept.values())

    def _apply(self, arrival: ReceivedJob, now: int) -> Outcome:
        job = arrival.job
        if isinstance(job, Undecodable):
            return self._keep_dead_letter(
                arrival, job.job_id or unidentified_id(arrival.digest), job.kind or "", job.code
            )
        if entry := self.jobs.get(job.id):
            if entry.digest != arrival.digest:
                return self._keep_dead_letter(arrival, job.id, job.kind, "id_reused")
            entry.duplicates += 1
            return Outcome(job_id=job.id, kind=job.kind, state=JobState.DUPLICATE, standing=self._standing(job.id))
        if self._is_too_large(job):
            return self._keep_dead_letter(arrival, job.id, job.kind, "too_large")
        entry = self.jobs[job.id] = Entry(arrival.digest, job.kind, _state(job, now), detail=_counts(job))
        if entry.state is JobState.DEFERRED:
            self.deferred[job.id] = job
        if entry.state is JobState.APPLIED:
            join(self.kept, single_facts_of(job))
        return Outcome(job_id=job.id, kind=job.kind, state=entry.state)

    def _is_too_large(self, job: Job) -> bool:
        """Whether the job makes a user larger than is allowed, in all that is kept of it."""
        before, after = _sizes(self.kept), _sizes(join(dict(self.kept), single_facts_of(job)))
        return any(size > max(self.max_user_bytes, before.get(id_, 0)) for id_, size in after.items())

    def _record_skipped(self, jobs: Iterable[Job]) -> None:
        """Note the recipients that stood for no user when it happened; later jobs are not considered."""
        for job in jobs:
            rows = [fact for fact in single_facts_of(job) if isinstance(fact, ActivityCreated)]
            if rows:
                at = rows[0].stamp
                then = project((fact for fact in self.kept.values() if fact.stamp <= at), HISTORY // _MICROSECOND)
                if skipped := sorted(row.recipient for row in rows if owner_at(then, row.recipient, at) is None):
                    self.jobs[job.id].detail = {"skipped": skipped}

    def _keep_dead_letter(self, arrival: ReceivedJob, job_id: str, kind: str, code: str) -> Outcome:
        self.dead[job_id, arrival.digest] = code
        return Outcome(
            job_id=job_id,
            kind=kind,
            state=JobState.DEAD,
            code=code,
            key=arrival.digest.hex(),
            standing=self._standing(job_id),
        )

    def _standing(self, job_id: str) -> StandingJob | None:
        entry = self.jobs.get(job_id)
        return StandingJob(kind=entry.kind, state=entry.state) if entry else None


def _sizes(registers: Registers) -> dict[str, int]:
    """How much is kept of the user that each id belongs to."""
    events = [fact for fact in registers.values() if isinstance(fact, (UserDeleted, UsersMerged))]
    own: Counter[str] = Counter()
    for fact in registers.values():
        match fact:
            case ProfileKeySet(stamp, user_id, _, value):
                own[user_id] += len(stamp) + len(encode_json(value))
            case PreferencesUpdated(stamp, user_id, _, changes):  # kept with what the set became
                own[user_id] += len(stamp) + 2 * len(encode_json(changes))
            case PushTokenChanged(stamp, user_id, _, token):
                own[user_id] += len(stamp) + len(token)
            case PushTokenSent(stamp, user_id):
                own[user_id] += len(stamp) + 16
    ids = own.keys() | {id_ for event in events for id_ in event.user_ids}
    roots = cluster_roots(ids, events)
    together: Counter[str] = Counter()
    for id_ in ids:
        together[roots[id_]] += own[id_]
    return {id_: together[roots[id_]] for id_ in ids}


def _state(job: Job, now: int) -> JobState:
    if job.occurred_at > (now if job.deferred else now + FUTURE // _MICROSECOND):
        return JobState.DEFERRED
    return _state_when_due(job)


def _state_when_due(job: Job) -> JobState:
    if isinstance(job, BulkIdentify) and all(isinstance(user, Problem) for user in job.users):
        return JobState.REJECTED
    return JobState.APPLIED


def _counts(job: Job) -> dict[str, Any] | None:
    if isinstance(job, (BulkDelete, BulkSetPreferences)):
        return {"applied": len(job.user_ids)}
    if not isinstance(job, BulkIdentify):
        return None
    rejected = [
        {"index": user.index, "field": user.field, "reason": user.reason}
        for user in job.users
        if isinstance(user, Problem)
    ]
    counts = {"applied": len(job.users) - len(rejected)}
    return {**counts, "rejected": rejected} if rejected else counts
