"""Calls of Segment's spec, as its logs keep them and its HTTP API takes them: one by one, in lists, or as batches.

An identify happened at its `timestamp`, and an alias is a merge. The other calls tell nothing of a user. What Segment
lets pass and Rollbook does not stays under Segment's name where that is another than ours: a phone number in no
international form is the property `phone`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from rollbook_ops.importers.contents import Content, Merged, Names, Rejected, Skipped, Told
from rollbook_ops.importers.timestamps import instant
from rollbook_shared.domain.attributes import ATTRIBUTES, RESERVED, attribute_problem, rfc3339
from rollbook_shared.errors import Problem

_OTHERS: Final = frozenset({"track", "page", "screen", "group"})
_TIMES: Final = ("timestamp", "originalTimestamp", "receivedAt", "sentAt")
"""When it happened, the best first: Segment corrects `timestamp` by what it knows of the sender's clock."""
_NAMES: Final = (("firstName", "first_name"), ("lastName", "last_name"))
"""Segment takes its traits in both spellings."""
_FROM_CONTEXT: Final = ("locale", "timezone")


class _When(NamedTuple):
    """When a call happened, and the field that says so."""

    field: str
    at: datetime


def contents(document: object, *, anonymous: bool, otherwise_at: datetime | None) -> Iterator[tuple[str, Content]]:
    """Each record of a document, with its place within.

    anonymous: visitors without a `userId` are users, and become part of the user they turn out to be.
    otherwise_at: when a call happened that does not say so.
    """
    match document:
        case list():
            calls = [(f"[{index}]", call) for index, call in enumerate(document)]
        case {"batch": list(batch)}:
            calls = [(f"batch[{index}]", call) for index, call in enumerate(batch)]
        case _:
            calls = [("", document)]
    for within, call in calls:
        for content in _contents(call, anonymous, otherwise_at):
            yield within, content


def _contents(call: Any, anonymous: bool, otherwise_at: datetime | None) -> Iterator[Content]:
    match call:
        case {"type": "identify" | "alias" as kind}:
            problems: list[Problem] = []
            when = _when(call, otherwise_at, problems)
            if problems or when is None:
                yield Rejected(tuple(problems))
            elif kind == "alias":
                yield _alias(call, when)
            else:
                yield from _identify(call, when, anonymous)
        case {"type": str(kind)} if kind in _OTHERS:
            yield Skipped(kind)
        case {"type": _}:
            yield Rejected((Problem("type", "must be identify, alias, track, page, screen or group"),))
        case dict():
            yield Rejected((Problem("type", "is required"),))
        case _:
            yield Rejected.whole("is not a JSON object")


def _when(call: Mapping[str, Any], otherwise_at: datetime | None, problems: list[Problem]) -> _When | None:
    name = next((name for name in _TIMES if call.get(name) is not None), None)
    if name is None:
        if otherwise_at is not None:
            return _When("timestamp", otherwise_at)
        problems.append(Problem("timestamp", "is required: it says when it happened; or give --occurred-at"))
        return None
    if (at := instant(call[name])) is None:
        problems.append(Problem(name, "must be a time, such as 2026-01-31T09:30:00Z"))
        return None
    return _When(name, at)


def _alias(call: Mapping[str, Any], when: _When) -> Content:
    given = "previousId" if _id(call, "previousId") is not None else "anonymousId"
    primary, secondary = _id(call, "userId"), _id(call, given)
    if primary is None or secondary is None:
        return Rejected((Problem("userId" if primary is None else "previousId", "is required"),))
    if primary == secondary:
        return Skipped("alias to itself")
    return _merged(primary, secondary, when, given)


def _identify(call: Mapping[str, Any], when: _When, anonymous: bool) -> Iterator[Content]:
    user_id, visitor = _id(call, "userId"), _id(call, "anonymousId")
    if user_id is None and visitor is None:
        yield Rejected((Problem("userId", "is required"),))
    elif user_id is None and not anonymous:
        yield Skipped("identify without userId")
    elif user_id is None:
        yield _told(visitor, "anonymousId", call, when)
    else:
        if anonymous and visitor not in (None, user_id):
            yield _merged(user_id, visitor, when, "anonymousId")
        yield _told(user_id, "userId", call, when)


def _merged(primary: Any, secondary: Any, when: _When, secondary_name: str) -> Content:
    names = {"user_id": "userId", "from_user_id": secondary_name, "occurred_at": when.field}
    return Merged(primary, secondary, when.at, Names(names))


def _told(user_id: Any, id_name: str, call: Mapping[str, Any], when: _When) -> Content:
    context = _object(call.get("context"))
    # Elsewhere, RudderStack for one, that is where they are. Beside `traits` they are those of earlier calls.
    traits = call.get("traits") or context.get("traits") or {}
    if not isinstance(traits, dict):
        return Rejected((Problem("traits", "must be an object"),))
    names = {"id": id_name, "occurred_at": when.field}
    left_out = [
        f"traits.{name}" for name in traits if name in RESERVED and not (name == "id" and _id(traits, "id") == user_id)
    ]
    user = {
        name: value
        for name, value in traits.items()
        # An empty text for an attribute is what a form sends that was not filled in.
        if name not in RESERVED and not (value == "" and name in ATTRIBUTES)
    }
    _rename_phone(user, names)
    _date_creation(user, names)
    _name_in_full(user)
    for name in _FROM_CONTEXT:
        if name not in user and (value := context.get(name)):
            if attribute_problem(name, value):
                left_out.append(f"context.{name}")
            else:
                user[name] = value
                names[name] = f"context.{name}"
    return Told({**user, "id": user_id}, when.at, Names(names, under="traits"), tuple(left_out))


def _rename_phone(user: dict[str, Any], names: dict[str, str]) -> None:
    if "phone" in user and "phone_number" not in user:
        phone = user["phone"]
        if phone is None or attribute_problem("phone_number", phone) is None:
            user["phone_number"] = user.pop("phone")
            names["phone_number"] = "traits.phone"


def _date_creation(user: dict[str, Any], names: dict[str, str]) -> None:
    theirs = "createdAt" if "created_at" not in user else "created_at"
    if (created := instant(user.get(theirs))) is not None:
        del user[theirs]
        user["created_at"] = rfc3339(created)
        names["created_at"] = f"traits.{theirs}"


def _name_in_full(user: dict[str, Any]) -> None:
    """Segment does so too where both parts are told and no whole. They stay as they are beside it."""
    if "name" not in user:
        told = [next((user[spelling] for spelling in part if spelling in user), None) for part in _NAMES]
        parts = [part for part in told if isinstance(part, str) and part]
        if len(parts) == len(_NAMES):
            user["name"] = " ".join(parts)


def _id(holder: Mapping[str, Any], name: str) -> Any:
    """The id, numbers as text, which is what Segment's libraries make of them; None: there is none."""
    value = holder.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return None if value == "" else value


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
