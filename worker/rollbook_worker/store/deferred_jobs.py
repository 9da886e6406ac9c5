"""Releases deferred jobs when they are due.

A dispatcher takes rows of `deferred` with FOR UPDATE SKIP LOCKED and applies them in the same transaction that deletes
them. So each takes effect once however many dispatchers there are; one that dies lets go of what it took; and whoever
cancels a job meets its row lock, and is either before the release or too late.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from psycopg import Cursor

from rollbook_shared.errors import Undecodable
from rollbook_shared.jobs.models import Job
from rollbook_shared.outcomes import JobState
from rollbook_worker.store.inbox import bury, letter, state_when_due
from rollbook_worker.store.received_jobs import ReceivedJob
from rollbook_worker.store.statements import load

_JOBS: Final = load("jobs")


@dataclass(frozen=True, slots=True)
class Due:
    """A deferred job whose time has come, under the id that the ledger knows it by."""

    id: str
    arrival: ReceivedJob


def take_due(cursor: Cursor, *, now: int, limit: int, but: list[str]) -> list[Due]:
    """Lock some jobs that are due, the longest due first, and that nobody else has locked; none of `but`."""
    cursor.execute(_JOBS["lock_due"], {"now": now, "limit": limit, "but": but})
    return [Due(id_, ReceivedJob.of(body)) for id_, body in cursor]


def take_one(cursor: Cursor, id_: str) -> list[Due]:
    """Lock this job, which was due, unless it is gone or somebody else has locked it."""
    cursor.execute(_JOBS["lock_one"], {"id": id_})
    return [Due(id_, ReceivedJob.of(body)) for (body,) in cursor]


def still_deferred(cursor: Cursor, ids: list[str]) -> list[str]:
    """Those of the jobs that were neither released nor cancelled, the longest due first."""
    cursor.execute(_JOBS["select_still_deferred"], {"ids": ids})
    return [id_ for (id_,) in cursor]


def hurry(cursor: Cursor, *, lock: timedelta, statement: timedelta) -> None:
    """Let the rest of the transaction wait no longer than this for a lock, and for a statement."""
    cursor.execute(_JOBS["set_local_timeouts"], {"lock": _milliseconds(lock), "statement": _milliseconds(statement)})


def release(cursor: Cursor, taken: list[Due], *, now: int) -> list[Job]:
    """Decide the jobs that were taken; return those to apply. What is no job here (a later version kept it) dies."""
    states: dict[str, JobState] = {}
    jobs: list[Job] = []
    for due in taken:
        job = due.arrival.job
        if isinstance(job, Undecodable):
            give_up(cursor, due, job.code, job.reason, now=now)
            continue
        states[due.id] = state = state_when_due(job)
        if state is JobState.APPLIED:
            jobs.append(job)
    if states:
        ends = [state.value for state in states.values()]
        cursor.execute(_JOBS["release_deferred"], {"ids": list(states), "states": ends, "now": now})
    return jobs


def give_up(cursor: Cursor, due: Due, code: str, reason: str, *, now: int) -> None:
    """Make a dead letter of a deferred job, unless it was cancelled or released meanwhile. The ledger forgets it, as
    it knows nothing of jobs that died on arrival: its id is free for the job as it should have been.
    """
    cursor.execute(_JOBS["remove_deferred"], {"ids": [due.id]})
    if cursor.fetchall():
        bury(cursor, [{**letter(due.arrival, code, reason), "id": due.id}], now)


def _milliseconds(time: timedelta) -> str:
    return str(time // timedelta(milliseconds=1))
