"""A store in memory: the core with deduplication, under the same contract as the store on Postgres."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from tests.support.facts import single_facts_of
from tests.support.projected_world import HISTORY, owner_at, world_of

from rollbook_shared.errors import Problem, Undecodable
from rollbook_shared.job_states import JobState
from rollbook_shared.jobs.models import BulkDelete, BulkIdentify, BulkSetPreferences, Job
from rollbook_shared.reference.world import World
from rollbook_worker.core import ActivityCreated, Registers, join, project
from rollbook_worker.store import Outcome, ReceivedJob

FUTURE: Final = timedelta(minutes=5)
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(slots=True)
class Entry:
    """How a job ended."""

    digest: bytes
    state: JobState
    duplicates: int = 0
    detail: dict[str, Any] | None = None


@dataclass(slots=True)
class MemoryStore:
    """Keeps users in memory, for as long as it lives."""

    kept: Registers = field(default_factory=dict)
    jobs: dict[str, Entry] = field(default_factory=dict)
    deferred: dict[str, Job] = field(default_factory=dict)
    dead: dict[tuple[str, bytes], str] = field(default_factory=dict)
    """Job id and digest to the code of why."""

    def apply(self, arrivals: Sequence[ReceivedJob], *, now: int) -> list[Outcome]:
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

    def world(self) -> World:
        return world_of(self.kept.values())

    def _apply(self, arrival: ReceivedJob, now: int) -> Outcome:
        job = arrival.job
        if isinstance(job, Undecodable):
            return self._keep_dead_letter(
                arrival, job.job_id or f"unidentified-{arrival.digest.hex()}", job.kind or "", job.code
            )
        if entry := self.jobs.get(job.id):
            if entry.digest != arrival.digest:
                return self._keep_dead_letter(arrival, job.id, job.kind, "id_reused")
            entry.duplicates += 1
            return Outcome(job_id=job.id, kind=job.kind, state=JobState.DUPLICATE)
        entry = self.jobs[job.id] = Entry(arrival.digest, _state(job, now), detail=_counts(job))
        if entry.state is JobState.DEFERRED:
            self.deferred[job.id] = job
        if entry.state is JobState.APPLIED:
            join(self.kept, single_facts_of(job))
        return Outcome(job_id=job.id, kind=job.kind, state=entry.state)

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
        return Outcome(job_id=job_id, kind=kind, state=JobState.DEAD, code=code)


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
