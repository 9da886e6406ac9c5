"""One user as callers tell it: a flat mapping of attributes, properties, `preferences` and `channel_data`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from pydantic import ValidationError

from rollbook.commands.sizes import check_user_size
from rollbook_shared.domain.attributes import rfc3339
from rollbook_shared.errors import Problem
from rollbook_shared.jobs.json_values import text_problem
from rollbook_shared.jobs.limits import Limits
from rollbook_shared.jobs.models import UserUpdate
from rollbook_shared.jobs.problems import problems_of

_ABSENT: Final = object()
_NOBODY: Final = UserUpdate(id="nobody")
"""Stands in for a user that is a problem, so that the rest of the job can be looked at."""


def parse_user(
    problems: list[Problem],
    told: object,
    limits: Limits,
    *,
    user_id: object = _ABSENT,
    where: str = "",
    index: int | None = None,
) -> UserUpdate:
    """The telling; adds every problem of the user, each under `where`. Without `user_id`, the mapping holds the id."""
    if not isinstance(told, Mapping):
        problems.append(Problem(where or "traits", "must be a mapping of keys to values", index))
        return _NOBODY
    parts, found = _parts(told, user_id)
    user_update = _NOBODY
    try:
        user_update = UserUpdate.model_validate(parts)
    except ValidationError:
        found += _all_problems(parts)
    else:
        found += check_user_size(user_update, limits)
    problems += [Problem(_under(where, problem.field), problem.reason, index) for problem in found]
    return user_update


def _parts(told: Mapping[Any, Any], user_id: object) -> tuple[dict[str, Any], list[Problem]]:
    traits = dict(told)
    found: list[Problem] = []
    own_id = traits.pop("id", _ABSENT)
    if user_id is _ABSENT:
        user_id = own_id
    elif own_id is not _ABSENT and not _is_same(own_id, user_id):
        found.append(Problem("id", "is not the user's id; leave it out of the mapping"))
    parts: dict[str, Any] = {} if user_id is _ABSENT else {"id": user_id}
    parts |= {name: traits.pop(name) for name in ("preferences", "channel_data") if name in traits}
    if isinstance(created_at := traits.get("created_at"), datetime):
        if created_at.utcoffset() is None:
            found.append(Problem("created_at", "must have a time zone, as datetime.now(UTC) has"))
            del traits["created_at"]
        else:
            traits["created_at"] = rfc3339(created_at)
    return parts | {"traits": traits}, found


def _is_same(own_id: object, user_id: object) -> bool:
    """Only texts are compared: what others think of `==` may be no answer, or an error."""
    return own_id is user_id or (isinstance(own_id, str) and isinstance(user_id, str) and own_id == user_id)


def _all_problems(parts: dict[str, Any]) -> list[Problem]:
    """Every problem of the user: validation as a whole stops at the first bad trait, so each is looked at by itself."""
    found = {problem.field: problem for problem in _problems({**parts, "traits": {}})}
    for name, value in parts["traits"].items():
        is_name = isinstance(name, str) and not text_problem(name)
        for problem in _problems({"id": _NOBODY.id, "traits": {name: value}}):
            field = problem.field or (name if is_name else "")
            found.setdefault(field, Problem(field, problem.reason))
    return list(found.values())


def _problems(parts: dict[str, Any]) -> list[Problem]:
    try:
        UserUpdate.model_validate(parts)
    except ValidationError as error:
        return problems_of(error)
    return []


def _under(where: str, field: str) -> str:
    if not where:
        return field or "traits"
    return f"{where}.{field}" if field else where
