"""How many jobs the workers have finished."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import func, select

from rollbook_ops.demo.demo_database import DemoDatabase
from rollbook_shared.database.tables import current_users, dead_letters, jobs


@dataclass(frozen=True, kw_only=True, slots=True)
class JobCounts:
    """Jobs by their final state. A job counts once; its further deliveries count in `duplicates`."""

    applied: int
    others: int
    """Rejected, or deferred."""
    duplicates: int
    dead: int

    @property
    def finished(self) -> int:
        """Distinct jobs that are finished."""
        return self.applied + self.others + self.dead

    @property
    def deliveries(self) -> int:
        """Deliveries of finished jobs."""
        return self.finished + self.duplicates


def count_jobs(database: DemoDatabase) -> JobCounts:
    """Count the jobs that are finished now."""
    with database.connect() as connection:
        rows = connection.execute(
            select(jobs.c.state, func.count(), func.sum(jobs.c.duplicates)).group_by(jobs.c.state)
        ).all()
        dead = connection.execute(select(func.count()).select_from(dead_letters)).scalar_one()
    by_state = {state: number for state, number, _ in rows}
    return JobCounts(
        applied=by_state.get("applied", 0),
        others=sum(number for state, number in by_state.items() if state != "applied"),
        duplicates=int(sum(duplicates for _, _, duplicates in rows)),
        dead=dead,
    )


def count_users(database: DemoDatabase) -> int:
    """Count the users that exist now."""
    with database.connect() as connection:
        return connection.execute(select(func.count()).select_from(current_users)).scalar_one()


def missing_jobs(database: DemoDatabase, job_ids: Iterable[str]) -> list[str]:
    """Return those of `job_ids` that no worker has recorded."""
    with database.connect() as connection:
        known = set(connection.execute(select(jobs.c.id).union(select(dead_letters.c.id))).scalars())
    return [job_id for job_id in job_ids if job_id not in known]
