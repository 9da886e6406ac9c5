"""A few identifies, each of a user of its own: one statement enters the jobs and upserts the users.

Nearly all batches of a worker that is not busy are such, and what they cost is their round trips. In a large batch the
statement would compare each user with each job.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rollbook_shared.jobs.models import Identify
from rollbook_worker.core import facts_of
from rollbook_worker.store.fact_writer import UPSERT_LIMITS
from rollbook_worker.store.received_jobs import ReceivedJob
from rollbook_worker.store.rows import rows_of
from rollbook_worker.store.user_columns import user_columns

MAX_JOBS: Final = 20
"""More of them take two statements."""

IdentifyBatch = dict[str, str | int | None]
"""What the upsert of its users takes."""


def identify_batch(arrivals: Sequence[ReceivedJob], *, now: int, max_clock_skew: int) -> IdentifyBatch | None:
    """The jobs as such a batch; None if one of them is anything but an identify of traits that takes effect now, or if
    two have an id or a user in common.
    """
    if len(arrivals) > MAX_JOBS:
        return None
    ids: set[str] = set()
    users: set[str] = set()
    jobs: list[Identify] = []
    for arrival in arrivals:
        job = arrival.job
        if not isinstance(job, Identify) or job.user.preferences or job.user.channel_data:
            return None
        if job.occurred_at > (now if job.deferred else now + max_clock_skew):
            return None
        ids.add(job.id)
        users.add(job.user.id)
        jobs.append(job)
    if not len(ids) == len(users) == len(jobs):
        return None
    columns = list(user_columns(rows_of(fact for job in jobs for fact in facts_of(job)).users))
    return {**columns[0], **UPSERT_LIMITS} if len(columns) == 1 else None
