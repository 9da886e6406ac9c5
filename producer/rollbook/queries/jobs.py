"""Queries for jobs: their status, and deferred jobs.

Cancelling a deferred job is a write of the client, and not a job: a job could not answer, and would travel behind the
job that it is to stop. A worker that releases the job and a client that cancels it lock the same row, so only one of
them gets it. The state `cancelled` stays in the table of jobs, where a late delivery of the job finds it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from rollbook.models import DeferredJob, JobStatus, Page, RejectedItem
from rollbook.queries.page_cursor import PageCursor
from rollbook.queries.query import Rows, Statement, Steps, query, write_query
from rollbook_shared.database.statements import load
from rollbook_shared.domain.stamps import datetime_of
from rollbook_shared.job_states import DeadLetterCode, JobState

_SQL: Final = load(__package__, "jobs")
_DEAD_LETTERS: Final = load(__package__, "dead_letters")


@query
def find_job_status(job_id: str, kind: str | None = None, digests: Collection[bytes] = ()) -> Steps[JobStatus]:
    """The status of a job.

    A job that a worker has received wins over a dead letter with its id, which is another job that came later. With
    `digests` (of the job, and of its text, by which a job that could not be read is known) only the job with that body
    counts.
    """
    rows = yield Statement(_SQL["status"], {"id": job_id})
    if rows and (not digests or bytes(rows[0]["digest"]) in digests):
        return status_of_job(rows[0])
    rows = yield Statement(_DEAD_LETTERS["of_job"], {"id": job_id, "digests": list(digests)})
    if rows:
        return status_of_dead_letter(rows[0], kind)
    return JobStatus(id=job_id, kind=kind, state=JobState.QUEUED)


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
def cancel_job(job_id: str) -> Steps[bool]:
    """Cancel a deferred job that has not taken effect; says whether there was one."""
    return bool((yield Statement(_SQL["cancel"], {"id": job_id})))


@query
def find_finished_jobs(job_ids: Collection[str]) -> Steps[Rows]:
    """Which of the jobs no longer need to be sent: rows of `id`, `digest` and `is_dead_letter`."""
    return (yield Statement(_SQL["finished"], {"ids": list(job_ids)}))


def status_of_job(row: Mapping[str, Any]) -> JobStatus:
    """The status of a job that a worker has received, as its row says."""
    detail: dict[str, Any] = row["detail"] or {}
    state = JobState(row["state"])
    is_rejected = state is JobState.REJECTED
    return JobStatus(
        id=row["id"],
        kind=row["kind"],
        state=state,
        code=DeadLetterCode.INVALID if is_rejected else None,
        reason="every user in it is rejected" if is_rejected else None,
        applied=detail.get("applied"),
        rejected=tuple(
            RejectedItem(index=item.get("index"), field=item["field"], reason=item["reason"])
            for item in detail.get("rejected", ())
        ),
        skipped=tuple(detail.get("skipped", ())),
        duplicates=row["duplicates"],
        finished_at=row["finished_at"],
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
    )
