"""Checks the arguments of reads, so that reads are rejected as clearly as writes and no odd text reaches Postgres."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from rollbook_shared.domain.attributes import ATTRIBUTES, RESERVED
from rollbook_shared.domain.stamps import JOB_ID
from rollbook_shared.errors import InvalidRequest, Problem
from rollbook_shared.jobs.fields import UserId
from rollbook_shared.jobs.problems import problems_of
from rollbook_shared.json_values import find_text_problem, find_value_problem, printable

MAX_PAGE: Final = 1_000

_USER_ID: Final[TypeAdapter[str]] = TypeAdapter(UserId)


def checked_user_id(user_id: object) -> str:
    """The id, or `InvalidRequest`: no user can have it."""
    try:
        return _USER_ID.validate_python(user_id)
    except ValidationError as error:
        raise InvalidRequest([Problem("user_id", problem.reason) for problem in problems_of(error)]) from None


def checked_job_id(job_id: object, field: str = "job_id") -> str:
    """The id, or `InvalidRequest`: no job can have it. `field` is the argument's name."""
    if isinstance(job_id, str) and JOB_ID.fullmatch(job_id):
        return job_id
    raise InvalidRequest([Problem(field, "must be text of 1 to 128 of the characters A-Z a-z 0-9 . _ : -")])


def checked_timeout(timeout: object) -> float:
    """The seconds to wait, or `InvalidRequest`: they are no number. Infinity is one, and waits without end."""
    if isinstance(timeout, (int, float)) and not isinstance(timeout, bool) and -math.inf <= timeout <= math.inf:
        return timeout
    raise InvalidRequest([Problem("timeout", "must be a number of seconds")])


def check_page(limit: object, after: object) -> None:
    """Refuse a size of a page that is out of bounds, and a cursor that is no text."""
    problems: list[Problem] = []
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= MAX_PAGE:
        problems.append(Problem("limit", f"must be a number from 1 to {MAX_PAGE}"))
    if after is not None and (not isinstance(after, str) or find_text_problem(after)):
        problems.append(Problem("after", "must be the `after` of a page"))
    if problems:
        raise InvalidRequest(problems)


def check_choice(field: str, value: object, choices: Collection[str]) -> None:
    """Refuse a value that is none of the choices."""
    if not isinstance(value, str) or value not in choices:
        raise InvalidRequest([Problem(field, f"must be one of {', '.join(choices)}")])


def check_channel(channel: object) -> None:
    """Refuse a channel that no message can have."""
    if not isinstance(channel, str) or not channel or find_text_problem(channel):
        raise InvalidRequest([Problem("channel", "must be the name of a channel")])


def checked_where(where: object) -> dict[str, Any]:
    """The filter by attribute and property, or `InvalidRequest`."""
    if where is None:
        return {}
    if not isinstance(where, Mapping):
        raise InvalidRequest([Problem("where", "must be a mapping of attributes and properties to values")])
    problems = [problem for name, value in where.items() if (problem := _filter_problem(name, value))]
    if problems:
        raise InvalidRequest(problems)
    return dict(where)


def _filter_problem(name: object, value: object) -> Problem | None:
    if not isinstance(name, str) or find_text_problem(name):
        return Problem("where", "has a key that is no attribute or property")
    if name in RESERVED:
        return Problem(f"where.{name}", "is neither an attribute nor a property")
    if problem := find_value_problem(value, f"where.{name}"):
        path, reason = problem
        return Problem(printable(path), reason)
    if name in ATTRIBUTES and not isinstance(value, str | None):
        return Problem(f"where.{name}", "must be text or None")
    return None
