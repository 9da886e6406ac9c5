"""Turns pydantic's errors into problems: the field as the caller named it and the reason, never the value."""

from __future__ import annotations

import re
from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from rollbook_shared.errors import Problem
from rollbook_shared.json_values import printable

_BRANCHES: Final = re.compile(r"(UserUpdate|ChannelTypes|bool|str|named|inline|function-.*|is-instance.*)")
"""Pydantic puts the branches of a union into the path; callers do not know those."""
_SECONDARY: Final = frozenset({"too_short", "is_instance_of"})
"""They come with the real reason: a list of invalid items also counts as empty, and an invalid user is no `Problem`."""
_LISTS: Final = frozenset({"users", "user_ids", "recipients", "message_ids", "channels"})
_OMITTED: Final = frozenset({"traits", "user"})
"""Levels of the models that a caller did not write."""


def problems_of(error: ValidationError, *, omitted: frozenset[str] = _OMITTED) -> list[Problem]:
    """The problems, in pydantic's order; the first of each field.

    omitted: levels of the job that the names of fields leave out. None of them for people who see the job as JSON.
    """
    problems: dict[str, Problem] = {}
    details = error.errors(include_url=False, include_input=False)
    for detail in details:
        if detail["type"] in _SECONDARY and len(details) > 1:
            continue
        problem = _problem(detail, omitted)
        problems.setdefault(problem.field, problem)
    return list(problems.values())


def _problem(detail: ErrorDetails, omitted: frozenset[str]) -> Problem:
    field, index = "", None
    inside = ""
    for part in detail["loc"]:
        if isinstance(part, int):
            field = f"{field}[{part}]"
            if index is None and inside in _LISTS:
                index = part
        elif _BRANCHES.fullmatch(part) or (part in omitted and (not inside or inside in _LISTS)):
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
        case "model_type" | "dict_type":
            return "must be an object"
        case "string_type":
            return "must be text"
        case "bool_type" | "bool_parsing":
            return "must be true or false"
        case "uuid_parsing" | "uuid_type":
            return "must be a UUID"  # pydantic quotes what it found
        case _:
            return detail["msg"].removeprefix("Value error, ").lower().replace("input should", "must")
