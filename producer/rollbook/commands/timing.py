"""The options that every write takes: the job's id, and when it happened or is to happen.

Times are microseconds since 1970. Each function returns its value and the problems it found; with a problem, the value
is a stand-in that the job's model accepts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, TypedDict

from rollbook_shared.domain.stamps import JOB_ID, microseconds, new_job_id
from rollbook_shared.errors import Problem
from rollbook_shared.jobs.models import LAST_MOMENT

_MICROSECOND: Final = timedelta(microseconds=1)
_MICROSECONDS: Final = 1_000_000
"""In a second."""
_STAND_IN: Final = LAST_MOMENT - 1
"""In place of a wrong time. No timestamp is after it, so it makes no further problem."""


class WriteOptions(TypedDict, total=False):
    """The keyword options of every write. At most one of `occurred_at`, `run_at` and `delay`; None is as not given."""

    job_id: str | None
    """An idempotency key, 1 to 128 of `[A-Za-z0-9._:-]`: a second job with the same id changes nothing. By default
    each job gets a new one.
    """
    occurred_at: datetime | None
    """When it happened (aware): not before 1970, and at most five minutes ahead (see `Limits`). By default now."""
    run_at: datetime | None
    """When it is to take effect (aware), seconds or years ahead. A time in the past takes effect at once."""
    delay: timedelta | float | None
    """How long from now it is to take effect; a number counts seconds."""


class Timing(TypedDict):
    """The fields that every job has: its `id`, when it happened or is due (`occurred_at`, in microseconds since 1970),
    and whether it is `deferred` until then.
    """

    id: str
    occurred_at: int
    deferred: bool


def resolve_timing(
    options: WriteOptions, now: int, max_ahead: timedelta, last_timestamp: int | None = None
) -> tuple[Timing, list[Problem]]:
    """The id and the time of a job.

    now: the present time.
    max_ahead: how far ahead of `now` the job may have happened.
    last_timestamp: when the job happened if no option says so; by default `now`.
    """
    problems: list[Problem] = []
    job_id = _job_id(options.get("job_id"), now)
    if isinstance(job_id, Problem):
        problems.append(job_id)
        job_id = new_job_id(now)
    given = [name for name in ("occurred_at", "run_at", "delay") if options.get(name) is not None]
    if len(given) > 1:
        problems += [Problem(name, f"cannot be given together with {given[0]}") for name in given[1:]]
        return {"id": job_id, "occurred_at": now, "deferred": False}, problems
    if options.get("run_at") is not None:
        time = _due("run_at", _microseconds("run_at", options["run_at"]))
    elif options.get("delay") is not None:
        time = _due("delay", _after_delay(now, options["delay"]))
    elif options.get("occurred_at") is not None:
        time = _happened(options["occurred_at"], now, max_ahead)
    else:
        time = now if last_timestamp is None else last_timestamp
    if isinstance(time, Problem):
        problems.append(time)
        time = _STAND_IN
    return {"id": job_id, "occurred_at": time, "deferred": given in (["run_at"], ["delay"])}, problems


def resolve_timestamps(
    timestamps: Sequence[object], options: WriteOptions, now: int, max_ahead: timedelta
) -> tuple[tuple[int, ...], list[Problem]]:
    """The times of the users of a bulk job; none if one of them is wrong."""
    problems = [
        Problem("timestamps", f"cannot be given together with {name}")
        for name in ("run_at", "delay")
        if options.get(name) is not None
    ]
    times = []
    for index, value in enumerate(timestamps):
        field = f"timestamps[{index}]"
        time = _microseconds(field, value, index)
        if isinstance(time, Problem):
            problems.append(time)
        elif _is_ahead(time, now, max_ahead):
            problems.append(Problem(field, f"is more than {_spoken(max_ahead)} ahead", index))
        else:
            times.append(time)
    return () if problems else tuple(times), problems


def _job_id(job_id: object, now: int) -> str | Problem:
    if job_id is None:
        return new_job_id(now)
    if isinstance(job_id, str) and JOB_ID.fullmatch(job_id):
        return job_id
    return Problem("job_id", "must be text of 1 to 128 of the characters A-Z a-z 0-9 . _ : -")


def _happened(occurred_at: object, now: int, max_ahead: timedelta) -> int | Problem:
    time = _microseconds("occurred_at", occurred_at)
    if not isinstance(time, Problem) and _is_ahead(time, now, max_ahead):
        reason = f"is more than {_spoken(max_ahead)} ahead; what is to happen later is asked for with run_at"
        return Problem("occurred_at", reason)
    return time


def _is_ahead(time: int, now: int, max_ahead: timedelta) -> bool:
    return time - now > max_ahead // _MICROSECOND


def _microseconds(field: str, value: object, index: int | None = None) -> int | Problem:
    if not isinstance(value, datetime):
        return Problem(field, "must be a datetime", index)
    if value.utcoffset() is None:
        return Problem(field, "must have a time zone, as datetime.now(UTC) has", index)
    time = microseconds(value)
    return time if time >= 0 else Problem(field, "must not be before 1970", index)


def _after_delay(now: int, delay: object) -> int | Problem:
    match delay:
        case timedelta():
            span = delay // _MICROSECOND
        case int() if not isinstance(delay, bool):
            span = delay * _MICROSECONDS
        case float() if math.isfinite(delay):
            span = round(delay * _MICROSECONDS)
        case _:
            return Problem("delay", "must be a timedelta or a number of seconds")
    return now + span if span >= 0 else Problem("delay", "must not be negative")


def _due(field: str, time: int | Problem) -> int | Problem:
    if isinstance(time, Problem) or time < LAST_MOMENT:
        return time
    return Problem(field, "is too far ahead")


def _spoken(span: timedelta) -> str:
    minutes, seconds = divmod(span.total_seconds(), 60)
    return f"{span.total_seconds():g} seconds" if seconds else f"{minutes:g} minutes"
