"""How far the workers have come."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import func, select

from rollbook.queries.connections import Database
from rollbook_shared.database.tables import current_users, dead_letters, jobs


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """Jobs by how they ended. A job that was delivered again counts once among them, and each time in `duplicates`."""

    applied: int
    others: int
    """Rejected, or deferred."""
    duplicates: int
    dead: int

    @property
    def decided(self) -> int:
        """Distinct jobs that are done with."""
        return self.applied + self.others + self.dead

    @property
    def deliveries(self) -> int:
        """Everything that came in."""
        return self.decided + self.duplicates


def count(database: Database) -> Counts:
    """Count what has been decided until now."""
    with database.connect() as connection:
        rows = connection.execute(
            select(jobs.c.state, func.count(), func.sum(jobs.c.duplicates)).group_by(jobs.c.state)
        ).all()
        dead = connection.execute(select(func.count()).select_from(dead_letters)).scalar_one()
    by_state = {state: number for state, number, _ in rows}
    return Counts(
        applied=by_state.get("applied", 0),
        others=sum(number for state, number in by_state.items() if state != "applied"),
        duplicates=int(sum(again for _, _, again in rows)),
        dead=dead,
    )


def count_users(database: Database) -> int:
    """How many users there are now."""
    with database.connect() as connection:
        return connection.execute(select(func.count()).select_from(current_users)).scalar_one()


def unfinished(database: Database, job_ids: Iterable[str]) -> list[str]:
    """Those of `job_ids` that the workers have said nothing of."""
    with database.connect() as connection:
        known = set(connection.execute(select(jobs.c.id).union(select(dead_letters.c.id))).scalars())
    return [job_id for job_id in job_ids if job_id not in known]
