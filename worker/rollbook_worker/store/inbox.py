"""The inbox: enters each job once, counts duplicates, makes dead letters of what cannot be applied, and defers what is
stamped in the future.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from psycopg import Cursor

from rollbook_shared.database.statements import load
from rollbook_shared.errors import Undecodable
from rollbook_shared.job_states import DeadLetterCode, JobState, StandingJob
from rollbook_shared.jobs.codec import KEPT_TEXT, MAX_TEXT, unidentified_id
from rollbook_shared.jobs.models import BulkDelete, BulkIdentify, BulkSetPreferences, Identify, Job, Trigger, UserUpdate
from rollbook_shared.json_values import printable
from rollbook_worker.core import trigger_stamp
from rollbook_worker.store.fact_writer import UPSERT_LIMITS, UpsertedUser
from rollbook_worker.store.kept_cursors import execute_kept
from rollbook_worker.store.received_jobs import Outcome, ReceivedJob
from rollbook_worker.store.retry import Blocked
from rollbook_worker.store.rows import Row, as_json
from rollbook_worker.store.stored_jobs import users_columns
from rollbook_worker.store.unknown_recipients import note_unknown
from rollbook_worker.store.user_columns import UserColumns

_JOBS: Final = load(__package__, "jobs")
_JOBS_AND_USERS: Final = load(__package__, "jobs_and_users")
_HISTORY: Final = load(__package__, "history")
_MAX_ROUNDS: Final = 5
"""How often jobs are entered that were neither entered nor found before. A second round is rare."""
MAX_REASON: Final = 1_000
"""Characters kept of a reason, which may name keys of the message."""


@dataclass(slots=True)
class Deduplicated:
    """What the received jobs lead to: an outcome each, and the jobs to apply now."""

    outcomes: list[Outcome] = field(default_factory=list)
    to_apply: list[Job] = field(default_factory=list)
    stored: list[Row] = field(default_factory=list)
    """What rows of deferred jobs, dead letters and rejected jobs say of the users that they name."""
    cluster_roots: dict[str, str | None] = field(default_factory=dict)
    """Of users that the new jobs name, the roots of their clusters, read without a lock; None: they belong to none."""
    with_users: set[str] = field(default_factory=set)
    """Jobs to apply, by their ids, whose users are upserted already."""
    upserted: list[UpsertedUser] = field(default_factory=list)
    """What that upsert returned."""


def deduplicate(
    cursor: Cursor,
    arrivals: Sequence[ReceivedJob],
    *,
    now: int,
    max_clock_skew: int,
    identifies: UserColumns | None = None,
) -> Deduplicated:
    """Enter the jobs that are new, and decide each outcome. If all of them are `identifies`, and none of their users
    belongs to a cluster, also upsert the users of those that are new.

    Of one id the first job stands: the same job again is a duplicate, another job becomes a dead letter (`id_reused`).
    A deferred job is kept until it is due; so is one stamped more than `max_clock_skew` microseconds ahead of `now`.

    Raises:
        Blocked: some jobs could be neither entered nor found.
    """
    first: dict[str, ReceivedJob] = {}
    for arrival in arrivals:
        if not isinstance(arrival.job, Undecodable):
            first.setdefault(arrival.job.id, arrival)
    states = {id_: _state(arrival.job, now, max_clock_skew) for id_, arrival in first.items()}
    rejected = {
        id_: users_columns(arrival.text, now=now) for id_, arrival in first.items() if states[id_] is JobState.REJECTED
    }
    result = Deduplicated()
    new: set[str] = set()
    known: dict[str, _Entry] = {}
    unfinished = set(first)
    # more than once if a row that blocked the insert was pruned, or removed, before the digests were read
    for _ in range(_MAX_ROUNDS):
        new |= _insert(cursor, {id_: first[id_] for id_ in unfinished}, states, rejected, now, identifies, result)
        known |= _standing(cursor, unfinished - new)
        if not (unfinished := first.keys() - new - known.keys()):
            break
    else:
        raise Blocked(f"other transactions removed {len(unfinished)} jobs again and again while they were entered")
    undecodable = {arrival.job_id for arrival in arrivals if isinstance(arrival.job, Undecodable) and arrival.job_id}
    known |= _standing(cursor, undecodable - new - known.keys())

    def standing(id_: str) -> _Entry | None:
        return _Entry.of(first[id_], states[id_]) if id_ in new else known.get(id_)

    dead_letters: list[Row] = []
    again: Counter[str] = Counter()
    for arrival in arrivals:
        job = arrival.job
        if isinstance(job, Undecodable):
            dead_letters.append(dead_letter(arrival, job.code, job.reason, now))
            other = standing(job.job_id) if job.job_id else None
            result.outcomes.append(dead_outcome(arrival, job.code, other and other.job))
        elif arrival is first[job.id] and job.id in new:
            result.outcomes.append(Outcome(job_id=job.id, kind=job.kind, state=states[job.id]))
            if states[job.id] is JobState.APPLIED:
                result.to_apply.append(job)
        elif (entry := standing(job.id)) and entry.digest == arrival.digest:
            again[job.id] += 1
            result.outcomes.append(Outcome(job_id=job.id, kind=job.kind, state=JobState.DUPLICATE, standing=entry.job))
        else:
            dead_letters.append(
                dead_letter(arrival, DeadLetterCode.ID_REUSED, "another job was sent under this id before", now)
            )
            result.outcomes.append(dead_outcome(arrival, DeadLetterCode.ID_REUSED, entry and entry.job))
    keep_dead_letters(cursor, dead_letters, now)
    if again:
        counts = [{"id": id_, "times": times} for id_, times in again.items()]
        cursor.execute(_JOBS["count_duplicates"], {"again": as_json(counts), "ids": list(again)})
    deferred: list[Row] = [
        {"id": id_, "due": arrival.job.occurred_at, "body": arrival.text, "trace": arrival.trace}  # type: ignore[union-attr]
        | users_columns(arrival.text, now=now)
        for id_, arrival in first.items()
        if id_ in new and states[id_] is JobState.DEFERRED
    ]
    if deferred:
        # not `as_json`: their texts may hold halves of surrogate pairs, in users that were rejected; Postgres reports
        # them
        cursor.execute(_JOBS["insert_deferred"], {"jobs": json.dumps(deferred), "now": now})
    result.stored = [*dead_letters, *deferred, *(columns for id_, columns in rejected.items() if id_ in new)]
    return result


def keep_dead_letters(cursor: Cursor, dead_letters: list[Row], now: int) -> None:
    """Keep dead letters, each once."""
    if dead_letters:
        cursor.execute(_JOBS["upsert_dead_letters"], {"dead_letters": as_json(dead_letters), "now": now})


def dead_letter(arrival: ReceivedJob, code: str, reason: str, now: int) -> Row:
    """The row of a dead letter."""
    text = arrival.text
    body = text.encode(errors="surrogatepass")
    reason = printable(reason[:MAX_REASON])
    if len(body) > MAX_TEXT:  # no job of ours: it will not be replayed, and would cost twelve times its size here
        text = text[:KEPT_TEXT]
        body = text.encode(errors="surrogatepass")
        reason = f"{reason}; only its first {KEPT_TEXT} characters are kept"
    return {
        "id": dead_outcome(arrival, code).job_id,
        "digest": arrival.digest.hex(),
        "kind": arrival.kind or None,
        "code": code,
        "reason": reason,
        "body": body.hex(),
        "trace_id": arrival.trace_id,
        **users_columns(text, now=now),
    }


def dead_outcome(arrival: ReceivedJob, code: str, standing: StandingJob | None = None) -> Outcome:
    """The outcome of a dead job; one without an id is named for its digest. `standing`: to which job its id belongs."""
    return Outcome(
        job_id=arrival.job_id or unidentified_id(arrival.digest),
        kind=arrival.kind or "",
        state=JobState.DEAD,
        code=str(code),
        key=arrival.digest.hex(),
        standing=standing,
    )


def state_when_due(job: Job) -> JobState:
    """The state of a job that takes effect now."""
    match job:
        case Identify():
            return JobState.APPLIED
        case BulkIdentify() if len(job.problems) == len(job.users):
            return JobState.REJECTED
        case _:
            return JobState.APPLIED


def record_skipped(cursor: Cursor, triggers: Sequence[Trigger]) -> None:
    """Note with each trigger the recipients, named by id only, that stood for no user at its stamp; and note them for
    `unknown_recipients`.

    As far as is known by now: a job that arrives later with an earlier stamp may create such a user after all. Then its
    messages are there, but the note is not updated.
    """
    named = [(job, ids) for job in triggers if (ids := _ids_only(job))]
    if not named:
        return
    cursor.execute(_HISTORY["select_existence"], {"ids": sorted({id_ for _, ids in named for id_ in ids})})
    periods: dict[str, list[tuple[str, str]]] = {}
    for id_, valid_from, valid_to in cursor:
        periods.setdefault(id_, []).append((valid_from, valid_to))
    rows: list[Row] = []
    unknown: list[Row] = []
    for job, ids in named:
        at = trigger_stamp(job)
        skipped = [id_ for id_ in ids if not any(start <= at < end for start, end in periods.get(id_, ()))]
        if skipped:
            rows.append({"id": job.id, "skipped": skipped})
            unknown.extend({"stamp": at, "recipient": id_} for id_ in skipped)
    if rows:
        cursor.execute(_JOBS["set_skipped"], {"skipped": json.dumps(rows), "ids": [row["id"] for row in rows]})
    note_unknown(cursor, unknown)


def _state(job: Job | Undecodable, now: int, max_clock_skew: int) -> JobState:
    assert not isinstance(job, Undecodable)
    if job.occurred_at > (now if job.deferred else now + max_clock_skew):
        return JobState.DEFERRED
    return state_when_due(job)


def _insert(
    cursor: Cursor,
    arrivals: dict[str, ReceivedJob],
    states: dict[str, JobState],
    rejected: dict[str, Row],
    now: int,
    identifies: UserColumns | None,
    result: Deduplicated,
) -> set[str]:
    """Enter the jobs; return the ids of those that are new. Add to the result what is found out about their users."""
    if not arrivals:
        return set()
    users: dict[str, str | None] = {}
    rows: list[Row] = []
    for id_, arrival in arrivals.items():
        job = arrival.job
        assert not isinstance(job, Undecodable)
        row: Row = {
            "id": id_,
            "kind": job.kind,
            "digest": arrival.digest.hex(),
            "state": states[id_],
            "occurred_at": job.occurred_at,
            "detail": _counts(job),
        }
        if arrival.trace is not None:
            row["trace_id"] = arrival.trace_id
        if id_ in rejected:
            row |= rejected[id_]
        rows.append(row)
        if isinstance(job, Identify):  # nearly all
            users[job.user.id] = None
        elif not isinstance(job, Trigger):  # most of its users are only recipients
            users.update(dict.fromkeys(job.user_ids))
    parameters: dict[str, Any] = {"jobs": as_json(rows), "users": as_json(list(users)), "now": now}
    statement = _JOBS_AND_USERS["enter_jobs"]
    if identifies is not None:
        statement = _JOBS_AND_USERS["enter_jobs_and_upsert_users"]
        parameters |= {**identifies, **UPSERT_LIMITS}
    found = execute_kept(cursor.connection, statement, parameters).fetchall()
    new: set[str] = {row[1] for row in found if row[0] == "entered"}
    if len(new) < len(found):
        users.update((row[1], row[2]) for row in found if row[0] == "clustered")
        result.upserted.extend(row[1:] for row in found if row[0] == "upserted")
    if identifies is not None and not any(users.values()):
        result.with_users |= new
    result.cluster_roots |= users
    return new


def _counts(job: Job) -> dict[str, Any] | None:
    """Of a bulk job, how many users it is applied to, and which are rejected."""
    match job:
        case Identify():  # nearly all; to find that a model is of no other class takes longer
            return None
        case BulkDelete() | BulkSetPreferences():
            return {"applied": len(job.user_ids)}
        case BulkIdentify():
            problems = job.problems
            counts: dict[str, Any] = {"applied": len(job.users) - len(problems)}
            if problems:
                counts["rejected"] = [{"index": p.index, "field": p.field, "reason": p.reason} for p in problems]
            return counts
        case _:
            return None


class _Entry(NamedTuple):
    digest: bytes
    job: StandingJob

    @classmethod
    def of(cls, arrival: ReceivedJob, state: JobState) -> _Entry:
        return cls(arrival.digest, StandingJob(kind=arrival.kind or "", state=state))


def _standing(cursor: Cursor, ids: set[str]) -> dict[str, _Entry]:
    """The jobs that these ids belong to."""
    if not ids:
        return {}
    cursor.execute(_JOBS["select_standing"], {"ids": sorted(ids)})
    return {
        id_: _Entry(bytes(digest), StandingJob(kind=kind, state=JobState(state))) for id_, digest, kind, state in cursor
    }


def _ids_only(job: Trigger) -> list[str]:
    """The recipients named by id only; one that is identified inline as well exists."""
    inline = {recipient.id for recipient in job.recipients if isinstance(recipient, UserUpdate)}
    return sorted({recipient for recipient in job.recipients if isinstance(recipient, str)} - inline)
