"""Releases deferred jobs when they are due.

A dispatcher locks rows of `deferred_jobs` with FOR UPDATE SKIP LOCKED, and applies the jobs in the same transaction
that deletes the rows. So each job takes effect once, however many dispatchers there are; a dispatcher that dies loses
its locks; and a client that cancels a job waits for the row lock, and is either before the release or too late.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from psycopg import Cursor
from psycopg.sql import SQL, Literal

from rollbook_shared.database.statements import load
from rollbook_shared.errors import Undecodable
from rollbook_shared.job_states import JobState
from rollbook_shared.jobs.models import Job
from rollbook_worker.store.inbox import dead_letter, keep_dead_letters, state_when_due
from rollbook_worker.store.received_jobs import ReceivedJob

_JOBS: Final = load(__package__, "jobs")


@dataclass(frozen=True, slots=True)
class DueJob:
    """A deferred job that is due, with its id in `jobs`."""

    id: str
    arrival: ReceivedJob


def lock_due(cursor: Cursor, *, now: int, limit: int, but: list[str]) -> list[DueJob]:
    """Lock some jobs that are due, the longest due first, except those that are locked already and those of `but`."""
    cursor.execute(_JOBS["lock_due"], {"now": now, "limit": limit, "but": but})
    return [DueJob(id_, ReceivedJob.of(body, trace)) for id_, body, trace in cursor]


def lock_one(cursor: Cursor, id_: str) -> list[DueJob]:
    """Lock this job, which was due, unless it is gone or locked already."""
    cursor.execute(_JOBS["lock_one"], {"id": id_})
    return [DueJob(id_, ReceivedJob.of(body, trace)) for body, trace in cursor]


def still_deferred(cursor: Cursor, ids: list[str]) -> list[str]:
    """Those of the jobs that were neither released nor cancelled, the longest due first."""
    cursor.execute(_JOBS["select_still_deferred"], {"ids": ids})
    return [id_ for (id_,) in cursor]


def set_local_timeouts(cursor: Cursor, *, lock: timedelta, statement: timedelta) -> None:
    """Bound how long the rest of the transaction waits for a lock, and for a statement."""
    timeouts = {"lock": Literal(_milliseconds(lock)), "statement": Literal(_milliseconds(statement))}
    cursor.execute(SQL(_JOBS["set_local_timeouts"]).format(**timeouts), prepare=False)


def release(cursor: Cursor, due_jobs: list[DueJob], *, now: int) -> list[Job]:
    """Set the final states of locked jobs; return the jobs to apply. A body that holds no job for this version (a later
    one kept it) becomes a dead letter.
    """
    states: dict[str, JobState] = {}
    jobs: list[Job] = []
    for due in due_jobs:
        job = due.arrival.job
        if isinstance(job, Undecodable):
            discard(cursor, due, job.code, job.reason, now=now)
            continue
        states[due.id] = state = state_when_due(job)
        if state is JobState.APPLIED:
            jobs.append(job)
    if states:
        final = [state.value for state in states.values()]
        cursor.execute(_JOBS["release_deferred"], {"ids": list(states), "states": final, "now": now})
    return jobs


def discard(cursor: Cursor, due: DueJob, code: str, reason: str, *, now: int) -> None:
    """Make a dead letter of a deferred job, unless it was cancelled or released meanwhile. Its row in `jobs` goes, as a
    job that is dead on arrival has none: its id is free for a corrected job.
    """
    cursor.execute(_JOBS["remove_deferred"], {"ids": [due.id]})
    if cursor.fetchall():
        keep_dead_letters(cursor, [{**dead_letter(due.arrival, code, reason, now), "id": due.id}], now)


def _milliseconds(time: timedelta) -> str:
    return str(time // timedelta(milliseconds=1))
