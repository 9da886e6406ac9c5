"""Lists deferred jobs, and takes them back.

Cancelling is a write of the face in Postgres, and not a job: a job could not answer, and would travel behind what it
is to stop. The row of the deferred job is what both sides lock, whoever releases it and whoever cancels it; so exactly
one of them has it. The outcome `cancelled` stays in the ledger, where a late redelivery of the job finds it.
"""

from __future__ import annotations

from sqlalchemy import Connection, delete, func, select, tuple_, update

from rollbook.models import DeferredJob, Page
from rollbook.queries.job_cursors import JobCursor
from rollbook_shared.database.tables import deferred, jobs


def find_deferred(connection: Connection, limit: int, after: JobCursor | None) -> Page[DeferredJob]:
    """A page of deferred jobs in the order in which they are due."""
    query = select(deferred.c.id, deferred.c.due_at, jobs.c.kind).join(jobs, jobs.c.id == deferred.c.id)
    if after is not None:
        query = query.where(tuple_(deferred.c.due_at, deferred.c.id) > tuple_(after.at, after.id))
    rows = connection.execute(query.order_by(deferred.c.due_at, deferred.c.id).limit(limit + 1)).all()
    items = tuple(DeferredJob(id=row.id, kind=row.kind, due_at=row.due_at) for row in rows[:limit])
    return Page(items=items, after=JobCursor(items[-1].due_at, items[-1].id).as_text() if len(rows) > limit else None)


def cancel(connection: Connection, job_id: str) -> bool:
    """Take a deferred job back; one that a worker is just releasing is waited for, and found gone."""
    gone = delete(deferred).where(deferred.c.id == job_id).returning(deferred.c.id).cte("gone")
    cancelled = (
        update(jobs)
        .where(jobs.c.id == gone.c.id)
        .values(state="cancelled", finished_at=func.now())
        .returning(jobs.c.id)
    )
    return connection.execute(cancelled).first() is not None
