"""Triggers that arrive later than their messages are kept: they identify users, and make no activity and no message.

What was dropped with its partition must not come back with another delivery of its job, whose row in `jobs` is pruned
long before. So a trigger is too old by the retention, and also if it lies before the oldest partition: a retention that
was raised later brings nothing back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from psycopg import Cursor

from rollbook_shared.database.statements import load
from rollbook_shared.domain.stamps import Stamp
from rollbook_shared.jobs.models import Trigger
from rollbook_worker.core import ActivityCreated, Facts, MessageCreated, WorkflowTriggered, trigger_stamp
from rollbook_worker.store.history_months import select_start

_JOBS: Final = load(__package__, "jobs")


def find_too_old(
    cursor: Cursor, triggers: Iterable[Trigger], *, kept_from: Stamp, late_before: Stamp
) -> frozenset[str]:
    """The ids of the triggers that are too old to make messages: from before `kept_from`, or before the oldest
    partition. For that, only triggers before `late_before` are looked at.
    """
    stamps = {job.id: trigger_stamp(job) for job in triggers}
    start = kept_from
    if any(at < late_before for at in stamps.values()):
        start = max(start, select_start(cursor))
    return frozenset(id_ for id_, at in stamps.items() if at < start)


def without_history(facts: Iterable[Facts], job_ids: Collection[str]) -> list[Facts]:
    """The facts without the triggers, activities and messages of some jobs."""
    return [
        fact
        for fact in facts
        if not (isinstance(fact, WorkflowTriggered | ActivityCreated | MessageCreated) and fact.job_id in job_ids)
    ]


def record_too_old(cursor: Cursor, job_ids: Collection[str]) -> None:
    """Note with these jobs that they made no messages."""
    cursor.execute(_JOBS["set_too_old"], {"ids": sorted(job_ids)})
