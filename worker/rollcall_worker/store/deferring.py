"""Releases deferred jobs when they are due.

A dispatcher takes rows of `deferred` with FOR UPDATE SKIP LOCKED and applies them in the same transaction that deletes
them. So each takes effect once however many dispatchers there are; one that dies lets go of what it took; and whoever
cancels a job meets its row lock, and is either before the release or too late.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from psycopg import Cursor

from rollcall_shared.errors import Undecodable
from rollcall_shared.jobs import Job
from rollcall_worker.store.arrivals import Arrival, State
from rollcall_worker.store.ledger import bury, letter, state_when_due
from rollcall_worker.store.statements import load

_JOBS: Final = load("jobs")


@dataclass(frozen=True, slots=True)
class Due:
    """A deferred job whose time has come, under the id that the ledger knows it by."""

    id: str
    arrival: Arrival


def take_due(cursor: Cursor, *, now: int, limit: int) -> list[Due]:
    """Lock some jobs that are due, the longest due first, and that nobody else has locked."""
    cursor.execute(_JOBS["take_due"], {"now": now, "limit": limit})
    return [Due(id_, Arrival.of(body)) for id_, body in cursor]


def release(cursor: Cursor, taken: list[Due], *, now: int) -> list[Job]:
    """Decide the jobs that were taken; return those to apply. What is no job here (a later version kept it) dies."""
    states: dict[str, State] = {}
    jobs: list[Job] = []
    for due in taken:
        job = due.arrival.job
        if isinstance(job, Undecodable):
            give_up(cursor, due, job.code, job.reason, now=now)
            continue
        states[due.id] = state = state_when_due(job)
        if state is State.APPLIED:
            jobs.append(job)
    if states:
        ends = [state.value for state in states.values()]
        cursor.execute(_JOBS["release"], {"ids": list(states), "states": ends, "now": now})
    return jobs


def give_up(cursor: Cursor, due: Due, code: str, reason: str, *, now: int) -> None:
    """Make a dead letter of a deferred job, unless it was cancelled or released meanwhile. The ledger forgets it, as
    it knows nothing of jobs that died on arrival: its id is free for the job as it should have been.
    """
    cursor.execute(_JOBS["give_up"], {"ids": [due.id]})
    if cursor.fetchall():
        bury(cursor, [{**letter(due.arrival, code, reason), "id": due.id}], now)
