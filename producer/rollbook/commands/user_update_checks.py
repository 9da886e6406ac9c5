"""Checks what a call says of one user: a flat mapping of attributes, properties, `preferences` and `channel_data`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from rollbook.commands.arguments import Arguments, size_problems
from rollbook.commands.plain_updates import plain_update
from rollbook_shared.domain.attributes import ATTRIBUTES, rfc3339
from rollbook_shared.errors import Problem
from rollbook_shared.jobs import UserUpdate
from rollbook_shared.jobs.pydantic_problems import problems_of
from rollbook_shared.json_values import encode_json, find_text_problem

if TYPE_CHECKING:
    from rollbook_shared.limits import Limits

_ABSENT: Final = object()
_STAND_IN: Final = UserUpdate(id="stand-in")
"""In place of a user that has problems, so that the rest of the job can be checked."""


def check_user_update(
    arguments: Arguments,
    traits: object,
    *,
    user_id: object = _ABSENT,
    where: str = "",
    index: int | None = None,
) -> UserUpdate:
    """The user update, or a stand-in and every problem of the user.

    traits: what the call says of the user.
    user_id: the user's id, where the call has it as an argument; otherwise the mapping holds it, as `id`.
    where: the argument of the call that the mapping is: `users[3]`. It begins the field of each problem.
    index: the position in that argument.
    """
    # identifies, which have the id by itself, have tried this before
    if user_id is _ABSENT and (plain := _plain(arguments, traits)) is not None:
        return plain
    if not isinstance(traits, Mapping):
        arguments.add([Problem(where or "traits", "must be a mapping of keys to values", index)])
        return _STAND_IN
    parts, problems = _parts(traits, user_id)
    arguments.check_id(_under(where, "id"), parts.get("id"), index)
    update = _STAND_IN
    try:
        update = UserUpdate.model_validate(parts)
    except ValidationError:
        problems += _all_problems(parts)
    else:
        problems += _too_large(update, arguments.limits)
    if problems:
        arguments.add(Problem(_under(where, problem.field), problem.reason, index) for problem in problems)
    return update


def _plain(arguments: Arguments, given: object) -> UserUpdate | None:
    if type(given) is not dict:
        return None
    traits = dict(given)
    return plain_update(traits.pop("id", None), traits, arguments.limits)


def _parts(given: Mapping[Any, Any], user_id: object) -> tuple[dict[str, Any], list[Problem]]:
    """The fields of the user update that the mapping holds, not checked yet, and problems of `id` and `created_at`."""
    traits = dict(given)
    problems: list[Problem] = []
    own_id = traits.pop("id", _ABSENT)
    if user_id is _ABSENT:
        user_id = own_id
    elif own_id is not _ABSENT and not _is_same(own_id, user_id):
        problems.append(Problem("id", "is not the user's id; leave it out of the mapping"))
    parts: dict[str, Any] = {} if user_id is _ABSENT else {"id": user_id}
    parts |= {name: traits.pop(name) for name in ("preferences", "channel_data") if name in traits}
    if isinstance(created_at := traits.get("created_at"), datetime):
        if created_at.utcoffset() is None:
            problems.append(Problem("created_at", "must have a time zone, as datetime.now(UTC) has"))
            del traits["created_at"]
        else:
            traits["created_at"] = rfc3339(created_at)
    return parts | {"traits": traits}, problems


def _is_same(own_id: object, user_id: object) -> bool:
    """Whether two ids are the same text. Other types are not compared: their `==` may give no bool, or raise."""
    return own_id is user_id or (isinstance(own_id, str) and isinstance(user_id, str) and own_id == user_id)


def _all_problems(parts: dict[str, Any]) -> list[Problem]:
    """Every problem of the user. Validating the whole stops at the first bad trait, so each is validated by itself."""
    problems = {problem.field: problem for problem in _problems({**parts, "traits": {}})}
    for name, value in parts["traits"].items():
        is_name = isinstance(name, str) and not find_text_problem(name)
        for problem in _problems({"id": _STAND_IN.id, "traits": {name: value}}):
            field = problem.field or (name if is_name else "")
            problems.setdefault(field, Problem(field, problem.reason))
    return list(problems.values())


def _problems(parts: dict[str, Any]) -> list[Problem]:
    try:
        UserUpdate.model_validate(parts)
    except ValidationError as error:
        return problems_of(error)
    return []


def _too_large(update: UserUpdate, limits: Limits) -> list[Problem]:
    """Which part of the user is too large: the properties, or the largest part of all the rest together."""
    # nearly always the whole update is smaller than any part may be, and need not be taken apart
    least = min(limits.max_properties_bytes, limits.max_data_bytes, limits.max_user_bytes)
    if len(encode_json(vars(update))) <= least:
        return []
    attributes = {name: value for name, value in update.traits.items() if name in ATTRIBUTES}
    properties = {name: value for name, value in update.traits.items() if name not in ATTRIBUTES}
    problems = size_problems("properties", properties, limits.max_properties_bytes)
    if (size := len(encode_json(vars(update)))) > limits.max_user_bytes:
        problems.append(
            Problem(
                "", f"the user has {size:,} bytes as JSON; ROLLBOOK_MAX_USER_BYTES allows {limits.max_user_bytes:,}"
            )
        )
    parts = attributes | {name: part for name in ("preferences", "channel_data") if (part := getattr(update, name))}
    for problem in size_problems("", parts, limits.max_data_bytes):
        largest = max(parts, key=lambda name: len(encode_json(parts[name])))
        problems.append(Problem(largest, f"{problem.reason}, together with everything except the properties"))
    return problems


def _under(where: str, field: str) -> str:
    if not where:
        return field or "traits"
    return f"{where}.{field}" if field else where
