"""Reads what became of jobs."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, RowMapping, select

from rollbook.models import JobStatus, RejectedItem
from rollbook_shared.database.tables import dead_letters, jobs
from rollbook_shared.domain.stamps import datetime_of
from rollbook_shared.outcomes import DeadLetterCode, JobState

# not the body, which may be large, and personal
_LETTER = tuple(column for column in dead_letters.c if column.name not in ("body", "digest"))


def find_status(
    connection: Connection, job_id: str, *, kind: str | None = None, digests: Collection[bytes] = ()
) -> JobStatus:
    """What became of a job.

    A decided job wins over a dead letter with its id, which is another job that came later. With `digests` (of the
    job, and of its text, by which it is known where it could not be read) the one with that body is asked after.
    """
    decided = connection.execute(select(jobs).where(jobs.c.id == job_id)).mappings().first()
    if decided is not None and (not digests or bytes(decided["digest"]) in digests):
        return _decided(decided)
    letters = select(*_LETTER).where(dead_letters.c.id == job_id).order_by(dead_letters.c.failed_at).limit(1)
    if digests:
        letters = letters.where(dead_letters.c.digest.in_(digests))
    if (dead := connection.execute(letters).mappings().first()) is not None:
        return _dead(dead, kind)
    return JobStatus(id=job_id, kind=kind, state=JobState.QUEUED)


def _decided(row: RowMapping) -> JobStatus:
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


def _dead(row: RowMapping, kind: str | None) -> JobStatus:
    return JobStatus(
        id=row["id"],
        kind=row["kind"] or kind,
        state=JobState.DEAD,
        code=row["code"],
        reason=row["reason"],
        finished_at=row["failed_at"],
    )
