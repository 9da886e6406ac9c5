"""Turns what pydantic found into problems: the field as the caller named it, and why, never the value."""

from __future__ import annotations

import re
from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from rollbook_shared.errors import Problem
from rollbook_shared.json_values import printable

_BRANCHES: Final = re.compile(r"(UserUpdate|ChannelTypes|bool|str|named|inline|function-.*|is-instance.*)")
"""Pydantic names the branches of a union in the path; callers know nothing of those."""
_NOISE: Final = frozenset({"too_short", "is_instance_of"})
"""Said beside the real reason: a list whose items are all bad seems empty, and a bad user is no `Problem` either."""
_LISTS: Final = frozenset({"users", "user_ids", "recipients", "message_ids", "channels"})
_SILENT: Final = frozenset({"traits", "user"})
"""Levels of ours that a caller never wrote."""


def problems_of(error: ValidationError, *, silent: frozenset[str] = _SILENT) -> list[Problem]:
    """The problems in the order found; of a field that failed in several ways, the first.

    silent: levels of the job that the names of fields leave out; none for whoever has the job's JSON before them.
    """
    problems: dict[str, Problem] = {}
    details = error.errors(include_url=False, include_input=False)
    for detail in details:
        if detail["type"] in _NOISE and len(details) > 1:
            continue
        problem = _problem(detail, silent)
        problems.setdefault(problem.field, problem)
    return list(problems.values())


def _problem(detail: ErrorDetails, silent: frozenset[str]) -> Problem:
    field, index = "", None
    inside = ""
    for part in detail["loc"]:
        if isinstance(part, int):
            field = f"{field}[{part}]"
            if index is None and inside in _LISTS:
                index = part
        elif _BRANCHES.fullmatch(part) or (part in silent and (not inside or inside in _LISTS)):
            continue
        else:
            field = f"{field}.{part}" if field else part
            inside = part
    context = detail.get("ctx", {})
    path = str(context.get("path", ""))
    return Problem(printable((field + path).lstrip(".") if path else field), _reason(detail), index)


def _reason(detail: ErrorDetails) -> str:
    match detail["type"]:
        case "rule":
            return str(detail["ctx"]["reason"])
        case "missing":
            return "is required"
        case "extra_forbidden":
            return "is not a known field"
        case "model_type":
            return "must be an object"
        case "uuid_parsing" | "uuid_type":
            return "must be a UUID"  # pydantic quotes what it found
        case _:
            return detail["msg"].removeprefix("Value error, ").lower().replace("input should", "must")
