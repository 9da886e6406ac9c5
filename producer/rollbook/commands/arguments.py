"""Collects what is wrong with the arguments of one call, and raises all of it at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from itertools import islice
from types import MappingProxyType, TracebackType
from typing import Any, Final, Self, TypeVar, cast
from uuid import UUID

from pydantic import ValidationError

from rollbook.commands.timing import Timing, WriteOptions, resolve_timestamps, resolve_timing
from rollbook_shared.errors import InvalidRequest, Problem
from rollbook_shared.jobs import Job
from rollbook_shared.jobs.codec import MAX_TEXT, encode
from rollbook_shared.jobs.fields import Settings
from rollbook_shared.jobs.json_text import encode_json
from rollbook_shared.jobs.problems import problems_of
from rollbook_shared.limits import HARD_BULK_USERS, Limits

T = TypeVar("T")

_MEBIBYTE: Final = 1024 * 1024
_ROOT: Final = re.compile(r"[^.\[]*")
_NO_OPTIONS: Final[WriteOptions] = {}
_OPTIONS: Final = frozenset(WriteOptions.__annotations__)
_NO_RENAMES: Final[Mapping[str, str]] = MappingProxyType({})


class Arguments:
    """The arguments of one call, as a context in which the call's job is made.

    Each check in the context adds to the problems and returns a stand-in for what is wrong, so that the other arguments
    are checked too. If there are problems at the end of the context, or the job's own model refuses its fields, the
    context raises `InvalidRequest` with everything that was found.
    """

    def __init__(
        self,
        call: str,
        options: WriteOptions = _NO_OPTIONS,
        *,
        renames: Mapping[str, str] = _NO_RENAMES,
    ) -> None:
        """Begin with no problems.

        call: the name of the client's method.
        options: the options of the call.
        renames: from fields of the job's model to arguments of the call, where the two differ.

        Raises:
            TypeError: there is no such option. The program is wrong, and not its data.
        """
        if not options.keys() <= _OPTIONS:
            unknown = min(options.keys() - _OPTIONS)
            hint = "; traits go into the mapping" if call == "identify" else ""
            raise TypeError(f"{call}() got an unexpected keyword argument {unknown!r}{hint}")
        self._options = options
        self._renames = renames
        self._problems: list[Problem] = []

    def add(self, problems: Iterable[Problem]) -> None:
        """Add problems that were found elsewhere."""
        self._problems.extend(problems)

    def timing(self, now: int, max_ahead: timedelta, *, last_timestamp: int | None = None) -> Timing:
        """The job's id and time, as the options say.

        now: in microseconds since 1970.
        max_ahead: how far ahead of `now` the job may have happened.
        last_timestamp: when the job happened if no option says it, in microseconds since 1970; by default `now`.
        """
        timing, problems = resolve_timing(self._options, now, max_ahead, last_timestamp)
        self._problems += problems
        return timing

    def timestamps(self, timestamps: Iterable[object], now: int, max_ahead: timedelta) -> tuple[int, ...]:
        """The times of the users of a bulk job, in microseconds since 1970; empty if one of them is wrong."""
        given = self.items(timestamps, "timestamps", most=HARD_BULK_USERS, what="timestamps")
        times, problems = resolve_timestamps(given, self._options, now, max_ahead)
        self._problems += problems
        return times

    def items(self, value: Iterable[T], field: str, *, most: int, what: str, least: int = 1) -> tuple[T, ...]:
        """The items of any iterable except text and mappings, whose items would be characters or keys.

        Returns at most `most` of them.
        """
        if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
            self._problems.append(Problem(field, f"must be a list of {what}"))
            return ()
        items = tuple(islice(value, most + 1))
        if not least <= len(items) <= most:
            self._problems.append(Problem(field, f"must hold {least} to {most} {what}"))
        return items[:most]

    def check_size(self, field: str, value: object, max_bytes: int) -> None:
        """Check how many bytes of JSON the value takes."""
        self._problems += size_problems(field, value, max_bytes)

    def check_job_size(self, job: Job, field: str, users: int, limits: Limits) -> None:
        """Check that the job as a whole is not so large that workers would refuse it; `field` holds its `users`."""
        # few jobs can be so large that encoding them only to measure them is worth its time
        if users * (limits.max_properties_bytes + limits.max_data_bytes) > MAX_TEXT and len(encode(job)) > MAX_TEXT:
            reason = f"must be at most {MAX_TEXT // _MEBIBYTE} MiB in all; send them in several jobs"
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
    return [Problem(field, f"must be at most {max_bytes} bytes as JSON")] if len(encode_json(value)) > max_bytes else []


def as_dict(value: Mapping[str, Any]) -> dict[str, Any]:
    """Any mapping as a dict. Anything else is returned as it is, for the job's model to refuse."""
    given: object = value  # what the caller's types promise need not be so
    return dict(given) if isinstance(given, Mapping) else cast("dict[str, Any]", given)


def as_settings(value: Mapping[str, Any]) -> Settings:
    """A mapping as the preference settings that the job's model checks it to be."""
    return cast(Settings, as_dict(value))


def as_uuids(values: tuple[str | UUID, ...]) -> tuple[UUID, ...]:
    """Ids of messages as the UUIDs that the job's model makes of them."""
    return cast("tuple[UUID, ...]", values)


def _root(field: str) -> str:
    """The name of the argument that a field is in: `users` of `users[3].email`."""
    return _ROOT.match(field)[0]  # type: ignore[index]
