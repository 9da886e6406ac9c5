"""Queries for jobs: their status, and deferred jobs.

Cancelling a deferred job is a write of the client, and not a job: a job could not answer, and would travel behind the
job that it is to stop. A worker that releases the job and a client that cancels it lock the same row, so only one of
them gets it. The state `cancelled` stays in the table of jobs, where a late delivery of the job finds it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from rollbook.models import DeferredJob, JobStatus, MergeEffect, Page, RejectedItem
from rollbook.queries.page_cursor import PageCursor
from rollbook.queries.query import Rows, Statement, Steps, query, write_query
from rollbook_shared.database.statements import load
from rollbook_shared.domain.merge_effects import Event, merges_without_effect
from rollbook_shared.domain.stamps import Stamp, datetime_of, stamp
from rollbook_shared.job_states import DeadLetterCode, JobState

_SQL: Final = load(__package__, "jobs")
_DEAD_LETTERS: Final = load(__package__, "dead_letters")


@dataclass(frozen=True, slots=True)
class SentJob:
    """The job whose status is asked for."""

    id: str
    kind: str | None = None
    digests: frozenset[bytes] = frozenset()
    """Of the job, and of its text, by which a job that could not be read is known. Only the job with that body counts;
    without digests, the first job with the id.
    """


@query
def find_job_status(job: SentJob) -> Steps[JobStatus]:
    """The status of a job. A job that a worker has received wins over a dead letter with its id, which is another job
    that came later.
    """
    (status,) = yield from _statuses([job])
    return status


@query
def find_job_statuses(jobs: Sequence[SentJob]) -> Steps[list[JobStatus]]:
    """The status of each of the jobs, in their order."""
    return (yield from _statuses(jobs))


@query
def find_deferred_jobs(limit: int, after: PageCursor | None) -> Steps[Page[DeferredJob]]:
    """A page of the deferred jobs, the first due first."""
    rows = yield Statement(
        _SQL["deferred"],
        {
            "due_at": None if after is None else after.datetime,
            "id": "" if after is None else after.id,
            "limit": limit + 1,
        },
    )
    items = tuple(DeferredJob(id=row["id"], kind=row["kind"], due_at=row["due_at"]) for row in rows[:limit])
    return Page(items=items, after=PageCursor.at(items[-1].due_at, items[-1].id).as_text() if rows[limit:] else None)


@write_query
def cancel_job(job_id: str) -> Steps[JobStatus]:
    """Cancel a job if it is deferred and has not taken effect; its status after that."""
    yield Statement(_SQL["cancel"], {"id": job_id})
    (status,) = yield from _statuses([SentJob(job_id)])
    return status


@query
def find_finished_jobs(job_ids: Collection[str]) -> Steps[tuple[Rows, int | None]]:
    """Which of the jobs no longer need to be sent: rows of `id`, `digest` and `is_dead_letter`; and the timeline of
    Postgres (None on a replica).
    """
    rows = yield Statement(_SQL["finished"], {"ids": list(job_ids)})
    timeline = yield Statement(_SQL["timeline"], {})
    return rows, timeline[0]["timeline"]


def _statuses(jobs: Sequence[SentJob]) -> Steps[list[JobStatus]]:
    rows = yield Statement(_SQL["statuses"], {"ids": [job.id for job in jobs]})
    received = {row["id"]: row for row in rows}
    found: dict[SentJob, JobStatus] = {}
    for job in jobs:
        row = received.get(job.id)
        if row is not None and (not job.digests or bytes(row["digest"]) in job.digests):
            found[job] = status_of_job(row)
    merges = {
        status.id: stamp(received[status.id]["occurred_at"], status.id)
        for status in found.values()
        if status.kind == "merge" and status.state is JobState.APPLIED
    }
    if merges:
        effects = yield from _merge_effects(merges.values())
        for job, status in found.items():
            if (at := merges.get(status.id)) in effects:
                effect, reason = effects[at]
                found[job] = replace(status, effect=effect, reason=reason)
    if missing := [job for job in jobs if job not in found]:
        rows = yield Statement(_DEAD_LETTERS["of_jobs"], {"ids": [job.id for job in missing]})
        dead: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for row in rows:
            dead[row["id"]].append(row)
        for job in missing:
            own = (row for row in dead[job.id] if not job.digests or bytes(row["digest"]) in job.digests)
            first = next(own, None)
            found[job] = (
                JobStatus(id=job.id, kind=job.kind, state=JobState.QUEUED)
                if first is None
                else status_of_dead_letter(first, job.kind)
            )
    return [found[job] for job in jobs]


def _merge_effects(merges: Collection[Stamp]) -> Steps[Mapping[Stamp | None, tuple[MergeEffect, str | None]]]:
    """What the merges with these stamps do, as far as is known by now; a merge that is erased is missing."""
    parameters = {"stamps": list(merges)}
    rows = yield Statement(_SQL["merge_events"], {**parameters, "last": max(merges)})
    events = [Event(stamp=row["stamp"], user_id=row["user_id"], primary_id=row["primary_id"]) for row in rows]
    void = merges_without_effect(events)
    of_users = {row["stamp"] for row in (yield Statement(_SQL["merged_users"], parameters))}
    return {
        event.stamp: ("nothing", void[event.stamp])
        if event.stamp in void
        else ("merge" if event.stamp in of_users else "redirect", None)
        for event in events
        if event.stamp in merges
    }


def status_of_job(row: Mapping[str, Any]) -> JobStatus:
    """The status of a job that a worker has received, as its row says."""
    detail: dict[str, Any] = row["detail"] or {}
    state = JobState(row["state"])
    reason = "every user in it is rejected" if state is JobState.REJECTED else None
    if detail.get("erased"):
        reason = "a user that it is about was erased"
    if detail.get("too_old"):
        reason = "it is older than messages are kept, so it made none"
    return JobStatus(
        id=row["id"],
        kind=row["kind"],
        state=state,
        code=DeadLetterCode.INVALID if state is JobState.REJECTED else None,
        reason=reason,
        applied=detail.get("applied"),
        rejected=tuple(
            RejectedItem(index=item.get("index"), field=item["field"], reason=item["reason"])
            for item in detail.get("rejected", ())
        ),
        skipped=tuple(detail.get("skipped", ())),
        duplicates=row["duplicates"],
        finished_at=row["finished_at"],
        trace_id=trace_id_of_row(row),
        due_at=datetime_of(row["occurred_at"]) if state in (JobState.DEFERRED, JobState.CANCELLED) else None,
    )


def status_of_dead_letter(row: Mapping[str, Any], kind: str | None) -> JobStatus:
    """The status of a dead job, as the row of its dead letter says; `kind` if that has none."""
    return JobStatus(
        id=row["id"],
        kind=row["kind"] or kind,
        state=JobState.DEAD,
        code=row["code"],
        reason=row["reason"],
        finished_at=row["failed_at"],
        trace_id=trace_id_of_row(row),
    )


def trace_id_of_row(row: Mapping[str, Any]) -> str | None:
    """The trace of the job or the dead letter in the row; None: it was not traced."""
    trace_id: UUID | None = row["trace_id"]
    return None if trace_id is None else trace_id.hex
