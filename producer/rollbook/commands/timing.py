"""The options that every write takes: which job it is, and when it happened or is to happen."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final, TypedDict

from rollbook.commands.lists import as_list
from rollbook_shared.domain.stamps import JOB_ID, datetime_of, microseconds, new_job_id
from rollbook_shared.errors import Problem
from rollbook_shared.jobs.limits import HARD_BULK_USERS
from rollbook_shared.jobs.models import LAST_MOMENT

_MICROSECOND: Final = timedelta(microseconds=1)
_MICROSECONDS: Final = 1_000_000
"""In a second."""


class WriteOptions(TypedDict, total=False):
    """The keyword options of every write. At most one of `occurred_at`, `run_at` and `delay`; None is none."""

    job_id: str | None
    """An idempotency key, 1 to 128 of `[A-Za-z0-9._:-]`; the same id sent again changes nothing. By default fresh."""
    occurred_at: datetime | None
    """When it happened (aware), at most five minutes ahead (see `Limits`) and not before 1970; by default now."""
    run_at: datetime | None
    """When it is to take effect (aware), seconds to years ahead; one that is past takes effect at once."""
    delay: timedelta | float | None
    """How long from now it is to take effect; a number counts seconds."""


class Timing(TypedDict):
    """What the options make of a job: its `id`, when it happened or is due (`occurred_at`, in microseconds since 1970),
    and whether it was put off (`deferred`).
    """

    id: str
    occurred_at: int
    deferred: bool


def resolve_timing(
    problems: list[Problem],
    now: int,
    future: timedelta,
    *,
    job_id: object = None,
    occurred_at: object = None,
    run_at: object = None,
    delay: object = None,
) -> Timing:
    """Which job it is and when, in microseconds since 1970; adds a problem for each option that is wrong."""
    id_ = _job_id(problems, job_id, now)
    times = {"occurred_at": occurred_at, "run_at": run_at, "delay": delay}
    given = [name for name, value in times.items() if value is not None]
    if len(given) > 1:
        problems.extend(Problem(name, f"cannot be given together with {given[0]}") for name in given[1:])
        return {"id": id_, "occurred_at": now, "deferred": False}
    if run_at is not None:
        return {
            "id": id_,
            "occurred_at": _due(problems, "run_at", _moment(problems, "run_at", run_at)),
            "deferred": True,
        }
    if delay is not None:
        return {"id": id_, "occurred_at": _due(problems, "delay", now + _span(problems, delay)), "deferred": True}
    return {"id": id_, "occurred_at": _happened(problems, occurred_at, now, future), "deferred": False}


def resolve_timestamps(
    problems: list[Problem], now: int, future: timedelta, timestamps: Iterable[object], options: WriteOptions
) -> tuple[int, ...]:
    """The caller's moments in microseconds since 1970, the last of which becomes `occurred_at` where there is none.

    Adds a problem for each one that is wrong.
    """
    problems.extend(
        Problem("timestamps", f"cannot be given together with {name}")
        for name in ("run_at", "delay")
        if options.get(name) is not None
    )
    found: list[Problem] = []
    given = as_list(found, timestamps, "timestamps", limit=HARD_BULK_USERS, what="timestamps")
    told = tuple(_told_at(found, index, value, now, future) for index, value in enumerate(given))
    if told and not found and not problems and options.get("occurred_at") is None:
        options["occurred_at"] = datetime_of(max(told))
    problems += found
    return told


def _job_id(problems: list[Problem], job_id: object, now: int) -> str:
    """The caller's id, or a fresh one; a fresh one too in place of a bad one, so that the rest can be looked at."""
    if job_id is None:
        return new_job_id(now)
    if isinstance(job_id, str) and JOB_ID.fullmatch(job_id):
        return job_id
    problems.append(Problem("job_id", "must be text of 1 to 128 of the characters A-Z a-z 0-9 . _ : -"))
    return new_job_id(now)


def _happened(problems: list[Problem], occurred_at: object, now: int, future: timedelta) -> int:
    if occurred_at is None:
        return now
    moment = _moment(problems, "occurred_at", occurred_at)
    if moment - now > future // _MICROSECOND:
        reason = f"is more than {_spoken(future)} ahead; what is to happen later is asked for with run_at"
        problems.append(Problem("occurred_at", reason))
        return now
    return moment


def _told_at(problems: list[Problem], index: int, value: object, now: int, future: timedelta) -> int:
    field = f"timestamps[{index}]"
    moment = _moment(problems, field, value, index)
    if moment - now > future // _MICROSECOND:
        problems.append(Problem(field, f"is more than {_spoken(future)} ahead", index))
    return moment


def _moment(problems: list[Problem], field: str, value: object, index: int | None = None) -> int:
    """Microseconds since 1970 of the caller's moment; 0 if it is none."""
    if not isinstance(value, datetime):
        problems.append(Problem(field, "must be a datetime", index))
    elif value.utcoffset() is None:
        problems.append(Problem(field, "must have a time zone, as datetime.now(UTC) has", index))
    elif (moment := microseconds(value)) < 0:
        problems.append(Problem(field, "must not be before 1970", index))
    else:
        return moment
    return 0


def _span(problems: list[Problem], delay: object) -> int:
    """Microseconds of the caller's delay; 0 if it is none."""
    match delay:
        case timedelta():
            span = delay // _MICROSECOND
        case int() if not isinstance(delay, bool):
            span = delay * _MICROSECONDS
        case float() if math.isfinite(delay):
            span = round(delay * _MICROSECONDS)
        case _:
            problems.append(Problem("delay", "must be a timedelta or a number of seconds"))
            return 0
    if span < 0:
        problems.append(Problem("delay", "must not be negative"))
        return 0
    return span


def _due(problems: list[Problem], field: str, moment: int) -> int:
    if moment < LAST_MOMENT:
        return moment
    problems.append(Problem(field, "is too far ahead"))
    return 0


def _spoken(span: timedelta) -> str:
    minutes, seconds = divmod(span.total_seconds(), 60)
    return f"{span.total_seconds():g} seconds" if seconds else f"{minutes:g} minutes"
