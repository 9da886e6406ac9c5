"""Lists deferred jobs, and takes them back.

Cancelling is a write of the face in Postgres, and not a job: a job could not answer, and would travel behind what it
is to stop. The row of the deferred job is what both sides lock, whoever releases it and whoever cancels it; so exactly
one of them has it. The outcome `cancelled` stays in the ledger, where a late redelivery of the job finds it.
"""

from __future__ import annotations

from sqlalchemy import Connection, delete, func, select, tuple_, update

from rollbook.models import DeferredJob, Page
from rollbook.queries.job_cursors import JobCursor
from rollbook_shared.database.tables import deferred_jobs, jobs


def find_deferred(connection: Connection, limit: int, after: JobCursor | None) -> Page[DeferredJob]:
    """A page of deferred jobs in the order in which they are due."""
    query = select(deferred_jobs.c.id, deferred_jobs.c.due_at, jobs.c.kind).join(jobs, jobs.c.id == deferred_jobs.c.id)
    if after is not None:
        query = query.where(tuple_(deferred_jobs.c.due_at, deferred_jobs.c.id) > tuple_(after.at, after.id))
    rows = connection.execute(query.order_by(deferred_jobs.c.due_at, deferred_jobs.c.id).limit(limit + 1)).all()
    items = tuple(DeferredJob(id=row.id, kind=row.kind, due_at=row.due_at) for row in rows[:limit])
    return Page(items=items, after=JobCursor(items[-1].due_at, items[-1].id).as_text() if len(rows) > limit else None)


def cancel(connection: Connection, job_id: str) -> bool:
    """Take a deferred job back; one that a worker is just releasing is waited for, and found gone."""
    gone = delete(deferred_jobs).where(deferred_jobs.c.id == job_id).returning(deferred_jobs.c.id).cte("gone")
    cancelled = (
        update(jobs)
        .where(jobs.c.id == gone.c.id)
        .values(state="cancelled", finished_at=func.now())
        .returning(jobs.c.id)
    )
    return connection.execute(cancelled).first() is not None
