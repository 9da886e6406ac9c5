"""The arguments of one call: checks them, collects everything that is wrong, and raises all of it at once."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from itertools import islice
from types import MappingProxyType, TracebackType
from typing import Any, Final, NotRequired, Self, TypedDict, TypeVar, cast
from uuid import UUID

from pydantic import ValidationError

from rollbook_shared.domain.mistaken_ids import mistake_in_id
from rollbook_shared.domain.stamps import JOB_ID, microseconds, new_job_id
from rollbook_shared.errors import InvalidRequest, Problem
from rollbook_shared.jobs import MAX_TIMESTAMP, Job
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.fields import PreferenceSet, PreferenceSetChanges
from rollbook_shared.jobs.pydantic_problems import problems_of
from rollbook_shared.json_values import encode_json
from rollbook_shared.limits import HARD_BULK_USERS, JOB_BYTES, Limits, MistakenIds

T = TypeVar("T")

_MICROSECOND: Final = timedelta(microseconds=1)
_MICROSECONDS: Final = 1_000_000
"""In a second."""
_STAND_IN: Final = MAX_TIMESTAMP - 1
"""In place of a wrong time. No timestamp is after it, so it makes no further problem."""
_MEBIBYTE: Final = 1024 * 1024
_ROOT: Final = re.compile(r"[^.\[]*")
_NO_RENAMES: Final[Mapping[str, str]] = MappingProxyType({})


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
    and whether it is `deferred` until then; of a deferred job also when it was asked for (`requested_at`).
    """

    id: str
    occurred_at: int
    deferred: bool
    requested_at: NotRequired[int]


_NO_OPTIONS: Final[WriteOptions] = {}
_OPTIONS: Final = frozenset(WriteOptions.__annotations__)
_TIMES: Final = ("occurred_at", "run_at", "delay")
"""The options of which a call may have one."""


class Arguments:
    """The arguments of one call, as a context in which the call's job is made.

    Each check in the context adds to the problems and returns a stand-in for what is wrong, so that the other arguments
    are checked too. If there are problems at the end of the context, or the job's own model refuses its fields, the
    context raises `InvalidRequest` with everything that was found.
    """

    def __init__(
        self,
        call: str,
        limits: Limits,
        options: WriteOptions = _NO_OPTIONS,
        *,
        renames: Mapping[str, str] = _NO_RENAMES,
    ) -> None:
        """Begin with no problems.

        call: the name of the client's method.
        limits: what the client accepts.
        options: the options of the call.
        renames: from fields of the job's model to arguments of the call, where the two differ.

        Raises:
            TypeError: there is no such option. The program is wrong, and not its data.
        """
        if not options.keys() <= _OPTIONS:
            unknown = min(options.keys() - _OPTIONS)
            hint = "; traits go into the mapping" if call == "identify" else ""
            raise TypeError(f"{call}() got an unexpected keyword argument {unknown!r}{hint}")
        self.limits: Final = limits
        self._options = options
        self._renames = renames
        self._problems: list[Problem] = []

    def add(self, problems: Iterable[Problem]) -> None:
        """Add problems that were found elsewhere."""
        self._problems.extend(problems)

    def timing(self, now: int, *, last_timestamp: int | None = None) -> Timing:
        """The job's id and time, as the options say.

        now: the present time in microseconds since 1970.
        last_timestamp: when the job happened if no option says it, in microseconds since 1970; by default `now`.
        """
        options = self._options
        job_id = _job_id(options.get("job_id"), now)
        if isinstance(job_id, Problem):
            self._problems.append(job_id)
            job_id = new_job_id(now)
        given = [name for name in _TIMES if options.get(name) is not None] if options else ()
        if not given:
            time = now if last_timestamp is None else last_timestamp
            return {"id": job_id, "occurred_at": time, "deferred": False}
        self._problems += [Problem(name, f"cannot be given together with {given[0]}") for name in given[1:]]
        match given:
            case ["occurred_at"]:
                time = self._checked(self._past("occurred_at", options["occurred_at"], now))
            case ["run_at"]:
                time = self._checked(_due("run_at", _microseconds("run_at", options["run_at"])))
            case ["delay"]:
                time = self._checked(_due("delay", _after_delay(now, options["delay"])))
            case _:
                time = _STAND_IN
        if given[0] == "occurred_at":
            return {"id": job_id, "occurred_at": time, "deferred": False}
        return {"id": job_id, "occurred_at": time, "deferred": True, "requested_at": now}

    def timestamps(self, timestamps: Iterable[object], now: int) -> tuple[int, ...]:
        """The times of the users of a bulk job, in microseconds since 1970; empty if one of them is wrong."""
        before = len(self._problems)
        for name in ("run_at", "delay"):
            if self._options.get(name) is not None:
                self._problems.append(Problem("timestamps", f"cannot be given together with {name}"))
        given = self.items(timestamps, "timestamps", most=HARD_BULK_USERS, what="timestamps")
        times = [
            self._checked(self._past(f"timestamps[{index}]", value, now, index)) for index, value in enumerate(given)
        ]
        return tuple(times) if len(self._problems) == before else ()

    def items(self, value: Iterable[T], field: str, *, most: int, what: str, least: int = 1) -> tuple[T, ...]:
        """The items of any iterable except text and mappings, whose items would be characters or keys.

        Returns at most `most` of them.
        """
        kind = type(value)
        # asked of any other value, the two abstract classes take most of the time of this
        is_usual = kind is list or kind is tuple
        if not is_usual and (isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable)):
            self._problems.append(Problem(field, f"must be a list of {what}"))
            return ()
        items = tuple(islice(value, most + 1))
        if not least <= len(items) <= most:
            self._problems.append(Problem(field, f"must hold {least} to {most} {what}"))
        return items[:most]

    def check_id(self, field: str, user_id: object, index: int | None = None) -> None:
        """Check that the id of a user who would be created or changed is not a mistake, if the limits say so."""
        if self.limits.mistaken_ids == MistakenIds.REJECT and (reason := mistake_in_id(user_id)):
            self._problems.append(Problem(field, reason, index))

    def check_ids(self, field: str, user_ids: Iterable[object]) -> None:
        """Check each of the ids as `check_id` does."""
        for index, user_id in enumerate(user_ids):
            self.check_id(f"{field}[{index}]", user_id, index)

    def check_size(self, field: str, value: object, max_bytes: int) -> None:
        """Check how many bytes of JSON the value takes."""
        self._problems += size_problems(field, value, max_bytes)

    def check_job_size(self, job: Job, field: str, users: int) -> None:
        """Check that the job as a whole is not so large that workers would refuse it; `field` holds its `users`."""
        limits = self.limits
        # few jobs can be so large that encoding them only to measure them is worth its time
        most = users * (limits.max_properties_bytes + limits.max_data_bytes)
        if most > JOB_BYTES and len(encode(job).encode()) > JOB_BYTES:
            reason = f"must be at most {JOB_BYTES // _MEBIBYTE} MiB in all; send them in several jobs"
            self._problems.append(Problem(field, reason))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, ValidationError):
            raise InvalidRequest([*self._problems, *self._further(error)]) from None
        if error is None and self._problems:
            raise InvalidRequest(self._problems)

    def _checked(self, time: int | Problem) -> int:
        if isinstance(time, Problem):
            self._problems.append(time)
            return _STAND_IN
        return time

    def _past(self, field: str, value: object, now: int, index: int | None = None) -> int | Problem:
        """The time of what has happened, which is not far ahead of `now`."""
        time = _microseconds(field, value, index)
        skew = self.limits.max_clock_skew
        if isinstance(time, Problem) or time - now <= skew // _MICROSECOND:
            return time
        hint = "; what is to happen later is asked for with run_at" if field == "occurred_at" else ""
        return Problem(field, f"is more than {_in_words(skew)} ahead{hint}", index)

    def _further(self, error: ValidationError) -> Iterable[Problem]:
        """What the job's model found in fields that had no problem before."""
        known = {_root(problem.field) for problem in self._problems}
        for problem in problems_of(error):
            root = _root(problem.field)
            argument = self._renames.get(root, root)
            if argument not in known or problem.index is not None:
                yield Problem(argument + problem.field[len(root) :], problem.reason, problem.index)


def size_problems(field: str, value: object, max_bytes: int) -> list[Problem]:
    """A problem if the value takes more than `max_bytes` as JSON."""
    if (size := len(encode_json(value))) <= max_bytes:
        return []
    return [Problem(field, f"must be at most {max_bytes} bytes as JSON, and has {size}")]


def as_dict(value: Mapping[str, Any]) -> dict[str, Any]:
    """Any mapping as a dict. Anything else is returned as it is, for the job's model to refuse."""
    given: object = value  # what the caller's types promise need not be so
    return dict(given) if isinstance(given, Mapping) else cast("dict[str, Any]", given)


def as_settings(value: Mapping[str, Any]) -> PreferenceSet:
    """A mapping as the preference settings that the job's model checks it to be."""
    return cast(PreferenceSet, as_dict(value))


def as_changes(value: Mapping[str, Any]) -> PreferenceSetChanges:
    """A mapping as the changes of a preference set that the job's model checks it to be."""
    return cast(PreferenceSetChanges, as_dict(value))


def as_uuids(values: tuple[str | UUID, ...]) -> tuple[UUID, ...]:
    """Ids of messages as the UUIDs that the job's model makes of them."""
    return cast("tuple[UUID, ...]", values)


def _root(field: str) -> str:
    """The name of the argument that a field is in: `users` of `users[3].email`."""
    return _ROOT.match(field)[0]  # type: ignore[index]


def _job_id(job_id: object, now: int) -> str | Problem:
    if job_id is None:
        return new_job_id(now)
    if isinstance(job_id, str) and JOB_ID.fullmatch(job_id):
        return job_id
    return Problem("job_id", "must be text of 1 to 128 of the characters A-Z a-z 0-9 . _ : -")


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
            length = delay // _MICROSECOND
        case int() if not isinstance(delay, bool):
            length = delay * _MICROSECONDS
        case float() if math.isfinite(delay):
            length = round(delay * _MICROSECONDS)
        case _:
            return Problem("delay", "must be a timedelta or a number of seconds")
    return now + length if length >= 0 else Problem("delay", "must not be negative")


def _due(field: str, time: int | Problem) -> int | Problem:
    if isinstance(time, Problem) or time < MAX_TIMESTAMP:
        return time
    return Problem(field, "is too far ahead")


def _in_words(duration: timedelta) -> str:
    minutes, seconds = divmod(duration.total_seconds(), 60)
    return f"{duration.total_seconds():g} seconds" if seconds else f"{minutes:g} minutes"
