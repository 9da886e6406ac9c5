"""Who came before: admits each job once, counts duplicates, buries what cannot be applied, defers what is stamped
in the future.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from psycopg import Cursor

from rollbook_shared.errors import Problem, Undecodable
from rollbook_shared.jobs.codec import MAX_TEXT
from rollbook_shared.jobs.models import BulkDelete, BulkIdentify, BulkSetPreferences, Job
from rollbook_shared.outcomes import DeadLetterCode, JobState
from rollbook_worker.store.received_jobs import Outcome, ReceivedJob
from rollbook_worker.store.rows import as_json
from rollbook_worker.store.statements import load

_JOBS: Final = load("jobs")
_KEPT: Final = 1024 * 1024
"""Characters of a message that is too large, for whoever wonders where it came from."""


@dataclass(slots=True)
class Deduplicated:
    """What becomes of the arrivals: an outcome each, and the jobs to apply now."""

    outcomes: list[Outcome] = field(default_factory=list)
    to_apply: list[Job] = field(default_factory=list)


def deduplicate(cursor: Cursor, arrivals: Sequence[ReceivedJob], *, now: int, future: int) -> Deduplicated:
    """Enter the jobs that are new, and decide on each arrival.

    Of one id the first stands: the same job again is a duplicate, another one is dead (`id_reused`). A job that was
    asked for later is kept until it is due; so is one stamped more than `future` microseconds ahead of `now`.
    """
    first: dict[str, ReceivedJob] = {}
    for arrival in arrivals:
        if not isinstance(arrival.job, Undecodable):
            first.setdefault(arrival.job.id, arrival)
    states = {id_: _state(arrival.job, now, future) for id_, arrival in first.items()}
    new: set[str] = set()
    known: dict[str, bytes] = {}
    # more than once if what the first statement met is forgotten, or given up, before the second looks for it
    while unfinished := first.keys() - new - known.keys():
        new |= _enter(cursor, {id_: first[id_] for id_ in unfinished}, states, now)
        known |= _known(cursor, unfinished - new)
    standing = {id_: first[id_].digest for id_ in new} | known

    admission = Deduplicated()
    letters: list[dict[str, Any]] = []
    again: Counter[str] = Counter()
    for arrival in arrivals:
        job = arrival.job
        if isinstance(job, Undecodable):
            letters.append(letter(arrival, job.code, job.reason))
            admission.outcomes.append(dead(arrival, job.code))
        elif arrival is first[job.id] and job.id in new:
            admission.outcomes.append(Outcome(job_id=job.id, kind=job.kind, state=states[job.id]))
            if states[job.id] is JobState.APPLIED:
                admission.to_apply.append(job)
        elif arrival.digest == standing[job.id]:
            again[job.id] += 1
            admission.outcomes.append(Outcome(job_id=job.id, kind=job.kind, state=JobState.DUPLICATE))
        else:
            letters.append(letter(arrival, DeadLetterCode.ID_REUSED, "another job was sent under this id before"))
            admission.outcomes.append(dead(arrival, DeadLetterCode.ID_REUSED))
    bury(cursor, letters, now)
    if again:
        counts = [{"id": id_, "times": times} for id_, times in again.items()]
        cursor.execute(_JOBS["count_duplicates"], {"again": as_json(counts)})
    later = [
        {"id": id_, "due": arrival.job.occurred_at, "body": arrival.text}  # type: ignore[union-attr]
        for id_, arrival in first.items()
        if id_ in new and states[id_] is JobState.DEFERRED
    ]
    if later:
        # their texts may hold halves of surrogate pairs, in users that were rejected; Postgres is to say so
        cursor.execute(_JOBS["insert_deferred"], {"jobs": json.dumps(later)})
    return admission


def bury(cursor: Cursor, letters: list[dict[str, Any]], now: int) -> None:
    """Keep dead letters, each once."""
    if letters:
        cursor.execute(_JOBS["upsert_dead_letters"], {"letters": as_json(letters), "now": now})


def letter(arrival: ReceivedJob, code: str, reason: str) -> dict[str, Any]:
    body = arrival.text.encode(errors="surrogatepass")
    if len(body) > MAX_TEXT:  # no job of ours: nobody will send it again, and it would cost twelve times its size here
        body = arrival.text[:_KEPT].encode(errors="surrogatepass")
        reason = f"{reason}; only its first {_KEPT} characters are kept"
    return {
        "id": dead(arrival, code).job_id,
        "digest": arrival.digest.hex(),
        "kind": dead(arrival, code).kind or None,
        "code": code,
        "reason": reason,
        "body": body.hex(),
    }


def dead(arrival: ReceivedJob, code: str) -> Outcome:
    """The outcome of a dead job; one that has no id of its own is named for its digest."""
    job_id, kind = (
        (arrival.job.job_id, arrival.job.kind)
        if isinstance(arrival.job, Undecodable)
        else (arrival.job.id, arrival.job.kind)
    )
    return Outcome(
        job_id=job_id or f"nameless-{arrival.digest.hex()}", kind=kind or "", state=JobState.DEAD, code=str(code)
    )


def state_when_due(job: Job) -> JobState:
    """How a job ends whose time has come."""
    if isinstance(job, BulkIdentify) and all(isinstance(user, Problem) for user in job.users):
        return JobState.REJECTED
    return JobState.APPLIED


def _state(job: Job | Undecodable, now: int, future: int) -> JobState:
    assert not isinstance(job, Undecodable)
    if job.occurred_at > (now if job.deferred else now + future):
        return JobState.DEFERRED
    return state_when_due(job)


def _enter(cursor: Cursor, arrivals: dict[str, ReceivedJob], states: dict[str, JobState], now: int) -> set[str]:
    if not arrivals:
        return set()
    lines = [
        {
            "id": id_,
            "kind": arrival.job.kind,
            "digest": arrival.digest.hex(),
            "state": states[id_],
            "occurred_at": arrival.job.occurred_at,
            "detail": _counts(arrival.job),
        }
        for id_, arrival in arrivals.items()
        if not isinstance(arrival.job, Undecodable)
    ]
    cursor.execute(_JOBS["insert"], {"jobs": as_json(lines), "now": now})
    return {id_ for (id_,) in cursor}


def _counts(job: Job) -> dict[str, Any] | None:
    """Of a bulk job, how many users it is applied to, and which are rejected."""
    match job:
        case BulkDelete() | BulkSetPreferences():
            return {"applied": len(job.user_ids)}
        case BulkIdentify():
            problems = [user for user in job.users if isinstance(user, Problem)]
            counts: dict[str, Any] = {"applied": len(job.users) - len(problems)}
            if problems:
                counts["rejected"] = [{"index": p.index, "field": p.field, "reason": p.reason} for p in problems]
            return counts
        case _:
            return None


def _known(cursor: Cursor, ids: set[str]) -> dict[str, bytes]:
    if not ids:
        return {}
    cursor.execute(_JOBS["select_digests"], {"ids": sorted(ids)})
    return {id_: bytes(digest) for id_, digest in cursor}
