"""Calls of Segment's spec, as in its logs and as its HTTP API accepts them: single calls, lists, or batches.

An identify happened at its `timestamp`, and an alias is a merge. The other calls are not about a user. A value that
Segment accepts and Rollbook rejects keeps Segment's name, if the names differ: a phone number that is not in
international format is the property `phone`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from rollbook.formats.records import FieldNames, MergeRecord, RecordContent, RejectedRecord, SkippedRecord, UserRecord
from rollbook.formats.timestamps import parse_time
from rollbook_shared.domain.attributes import ATTRIBUTES, RESERVED, attribute_problem, rfc3339
from rollbook_shared.errors import Problem

_SKIPPED_TYPES: Final = frozenset({"track", "page", "screen", "group"})
_TIMES: Final = ("timestamp", "originalTimestamp", "receivedAt", "sentAt")
"""The fields with the time of a call, best first: Segment corrects `timestamp` by the offset of the sender's clock."""
_NAME_PARTS: Final = (("firstName", "first_name", "firstname"), ("lastName", "last_name", "lastname"))
"""Segment accepts the first two spellings, RudderStack also writes the third."""
_FROM_CONTEXT: Final = ("locale", "timezone")


class _CallTime(NamedTuple):
    """The time of a call, and the field that it is from."""

    field: str
    time: datetime


def convert(document: object, *, anonymous: bool, default_time: datetime | None) -> Iterator[tuple[str, RecordContent]]:
    """Yield each record of a document, with its path in the document.

    anonymous: visitors without a `userId` are users, and are merged into the user that they are later identified as.
    default_time: the time of calls without one of their own.
    """
    match document:
        case list():
            calls = [(f"[{index}]", call) for index, call in enumerate(document)]
        case {"batch": list(batch)}:
            calls = [(f"batch[{index}]", call) for index, call in enumerate(batch)]
        case _:
            calls = [("", document)]
    for path, call in calls:
        for content in _convert_call(call, anonymous, default_time):
            yield path, content


def _convert_call(call: Any, anonymous: bool, default_time: datetime | None) -> Iterator[RecordContent]:
    match call:
        case {"type": "identify" | "alias" as kind}:
            problems: list[Problem] = []
            call_time = _time_of(call, default_time, problems)
            if problems or call_time is None:
                yield RejectedRecord(tuple(problems))
            elif kind == "alias":
                yield _convert_alias(call, call_time)
            else:
                yield from _convert_identify(call, call_time, anonymous)
        case {"type": str(kind)} if kind in _SKIPPED_TYPES:
            yield SkippedRecord(kind)
        case {"type": _}:
            yield RejectedRecord((Problem("type", "must be identify, alias, track, page, screen or group"),))
        case dict():
            yield RejectedRecord((Problem("type", "is required"),))
        case _:
            yield RejectedRecord.whole("is not a JSON object")


def _time_of(call: Mapping[str, Any], default_time: datetime | None, problems: list[Problem]) -> _CallTime | None:
    name = next((name for name in _TIMES if call.get(name) is not None), None)
    if name is None:
        if default_time is not None:
            return _CallTime("timestamp", default_time)
        problems.append(Problem("timestamp", "is required, unless --occurred-at gives the time"))
        return None
    if (time := parse_time(call[name])) is None:
        problems.append(Problem(name, "must be a time, such as 2026-01-31T09:30:00Z"))
        return None
    return _CallTime(name, time)


def _convert_alias(call: Mapping[str, Any], call_time: _CallTime) -> RecordContent:
    previous = "previousId" if _id(call, "previousId") is not None else "anonymousId"
    primary, secondary = _id(call, "userId"), _id(call, previous)
    if primary is None or secondary is None:
        return RejectedRecord((Problem("userId" if primary is None else "previousId", "is required"),))
    if primary == secondary:
        return SkippedRecord("alias to itself")
    return _merge_record(primary, secondary, call_time, previous)


def _convert_identify(call: Mapping[str, Any], call_time: _CallTime, anonymous: bool) -> Iterator[RecordContent]:
    user_id, visitor = _id(call, "userId"), _id(call, "anonymousId")
    if user_id is None and visitor is None:
        yield RejectedRecord((Problem("userId", "is required"),))
    elif user_id is None and not anonymous:
        yield SkippedRecord("identify without userId")
    elif user_id is None:
        yield _user_record(visitor, "anonymousId", call, call_time)
    else:
        if anonymous and visitor not in (None, user_id):
            yield _merge_record(user_id, visitor, call_time, "anonymousId")
        yield _user_record(user_id, "userId", call, call_time)


def _merge_record(primary: Any, secondary: Any, call_time: _CallTime, secondary_name: str) -> RecordContent:
    names = {"user_id": "userId", "from_user_id": secondary_name, "occurred_at": call_time.field}
    return MergeRecord(primary, secondary, call_time.time, FieldNames(names))


def _user_record(user_id: Any, id_name: str, call: Mapping[str, Any], call_time: _CallTime) -> RecordContent:
    context = _object(call.get("context"))
    # Other products, such as RudderStack, put the traits there. Next to `traits` they are those of earlier calls.
    traits = call.get("traits") or context.get("traits") or {}
    if not isinstance(traits, dict):
        return RejectedRecord((Problem("traits", "must be an object"),))
    names = {"id": id_name, "occurred_at": call_time.field}
    left_out = [
        f"traits.{name}" for name in traits if name in RESERVED and not (name == "id" and _id(traits, "id") == user_id)
    ]
    user = {
        name: value
        for name, value in traits.items()
        # A form that was not filled in sends an empty text for an attribute.
        if name not in RESERVED and not (value == "" and name in ATTRIBUTES)
    }
    _convert_phone(user, names)
    _convert_created_at(user, names)
    _join_name(user)
    for name in _FROM_CONTEXT:
        if name not in user and (value := context.get(name)):
            if attribute_problem(name, value):
                left_out.append(f"context.{name}")
            else:
                user[name] = value
                names[name] = f"context.{name}"
    return UserRecord({**user, "id": user_id}, call_time.time, FieldNames(names, parent="traits"), tuple(left_out))


def _convert_phone(user: dict[str, Any], names: dict[str, str]) -> None:
    if "phone" in user and "phone_number" not in user:
        phone = user["phone"]
        if phone is None or attribute_problem("phone_number", phone) is None:
            user["phone_number"] = user.pop("phone")
            names["phone_number"] = "traits.phone"


def _convert_created_at(user: dict[str, Any], names: dict[str, str]) -> None:
    name = "createdAt" if "created_at" not in user else "created_at"
    if (created_at := parse_time(user.get(name))) is not None:
        del user[name]
        user["created_at"] = rfc3339(created_at)
        names["created_at"] = f"traits.{name}"


def _join_name(user: dict[str, Any]) -> None:
    """Set `name` from the first and last name if both are given and `name` is not, as Segment does. Both are kept."""
    if "name" not in user:
        values = [next((user[spelling] for spelling in part if spelling in user), None) for part in _NAME_PARTS]
        parts = [value for value in values if isinstance(value, str) and value]
        if len(parts) == len(_NAME_PARTS):
            user["name"] = " ".join(parts)


def _id(holder: Mapping[str, Any], name: str) -> Any:
    """Return the id, or None if there is none. Numbers become text, as in Segment's libraries."""
    value = holder.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return None if value == "" else value


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
