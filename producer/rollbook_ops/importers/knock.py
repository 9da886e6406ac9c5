"""Users in the formats of Knock's API, as it returns or accepts them.

A document is a page of users (`{"entries": [...], "page_info": {...}}`), the body of a bulk call (`{"users": [...]}`,
`{"user_ids": [...], "preferences": {...}}`), a single user, or a list of all these.

A page holds users as they were at their `updated_at`. A body holds what was sent, without a time. A setting that Knock
has and Rollbook has not is rejected if leaving it out could send a message that the user did not want.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from rollbook.formats.knock_preferences import Conversion, convert_channel_data, convert_preferences
from rollbook.formats.records import FieldNames, RecordContent, RejectedRecord, SkippedRecord, UserRecord, join_path
from rollbook.formats.timestamps import parse_time
from rollbook_shared.domain.attributes import ATTRIBUTES, rfc3339
from rollbook_shared.errors import Problem

_CONVERTED: Final = frozenset({"__typename", "updated_at", "preferences", "channel_data"})
_NAMES: Final = FieldNames({"occurred_at": "updated_at"})
_NO_ID_FIELD: Final = FieldNames({"id": ""})


def convert(document: object) -> Iterator[tuple[str, RecordContent]]:
    """Yield each record of a document, with its path in the document."""
    if not isinstance(document, list):
        yield from _convert_document(document, "")
        return
    for index, item in enumerate(document):
        yield from _convert_document(item, f"[{index}]")


def _convert_document(document: object, path: str) -> Iterator[tuple[str, RecordContent]]:
    match document:
        case {"id": _}:
            yield path, _convert_item(document)
        case {"entries": list(items)}:
            yield from ((join_path(path, f"entries[{index}]"), _convert_item(item)) for index, item in enumerate(items))
        case {"users": list(items)}:
            yield from ((join_path(path, f"users[{index}]"), _convert_item(item)) for index, item in enumerate(items))
        case {"user_ids": list(ids), "preferences": dict(settings)}:
            yield from _convert_bulk_preferences(ids, settings, path)
        case _:
            yield path, _convert_item(document)


def has_next_page(document: object) -> bool | None:
    """Return whether a page names a next page; None if the document is not a page."""
    match document:
        case {"entries": list(), "page_info": {"after": after}}:
            return after is not None
        case _:
            return None


def _convert_item(item: object) -> RecordContent:
    match item:
        # Knock returns both fields with every preference set; and a set has an `id`, as a user has.
        case {"__typename": "PreferenceSet"} | {"workflows": _, "channel_types": _}:
            return RejectedRecord.whole(_names_no_user("a preference set", "preferences"))
        case {"channel_id": _, "data": _}:
            return RejectedRecord.whole(_names_no_user("channel data", "channel_data"))
        case {"__typename": str(kind)} if kind != "User":
            return SkippedRecord("objects")
        case {"id": _, "collection": _}:
            return SkippedRecord("objects")
        case {"user_ids": list()}:
            return RejectedRecord.whole("is a bulk delete; an import deletes no users")
        case dict() if "id" in item:
            return _convert_user(item)
        case dict():
            return RejectedRecord((Problem("id", "is required"),))
        case _:
            return RejectedRecord.whole("is not a JSON object")


def _convert_user(item: Mapping[str, Any]) -> RecordContent:
    conversion = Conversion()
    updated_at = None
    if (text := item.get("updated_at")) is not None and (updated_at := parse_time(text)) is None:
        conversion.reject("updated_at", "must be a time, such as 2026-01-31T09:30:00Z")
    is_from_api = text is not None or "__typename" in item
    user = {
        name: value
        for name, value in item.items()
        # In what Knock returns, null means that there is no value. In what was sent, it removes a value.
        if name not in _CONVERTED and not (value is None and is_from_api and name in ATTRIBUTES)
    }
    if (created_at := parse_time(user.get("created_at"))) is not None:
        user["created_at"] = rfc3339(created_at)
    if (preferences := item.get("preferences")) is not None:
        user["preferences"] = convert_preferences(preferences, conversion)
    if (channel_data := item.get("channel_data")) is not None:
        user["channel_data"] = convert_channel_data(channel_data, conversion)
    if conversion.problems:
        return RejectedRecord(tuple(conversion.problems))
    return UserRecord(user, updated_at, _NAMES, tuple(conversion.left_out))


def _convert_bulk_preferences(
    ids: list[Any], settings: dict[str, Any], path: str
) -> Iterator[tuple[str, RecordContent]]:
    conversion = Conversion()
    preferences = convert_preferences({"id": "default", **settings}, conversion)
    if conversion.problems:
        yield path, RejectedRecord(tuple(conversion.problems))
        return
    for index, user_id in enumerate(ids):
        user = {"id": user_id, "preferences": preferences}
        yield (
            join_path(path, f"user_ids[{index}]"),
            UserRecord(user, names=_NO_ID_FIELD, left_out=tuple(conversion.left_out)),
        )


def _names_no_user(what: str, field: str) -> str:
    return f'is {what} without its user; put it into {{"id": ..., "{field}": [...]}}'
