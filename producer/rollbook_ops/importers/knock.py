"""What Knock holds of users, as its API gives it out or takes it.

Documents are pages of users (`{"entries": [...], "page_info": {...}}`), bodies of bulk calls (`{"users": [...]}`,
`{"user_ids": [...], "preferences": {...}}`), users one by one, or lists of all these.

A page tells of users as they were at their `updated_at`. A body tells what was sent, and does not say when. What Knock
can say and Rollbook cannot is rejected where leaving it out could let a message through that the user did not want.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from rollbook_ops.importers.contents import Content, Names, Rejected, Skipped, Told, joined
from rollbook_ops.importers.knock_preferences import Found, channel_data, preference_sets
from rollbook_ops.importers.timestamps import instant
from rollbook_shared.domain.attributes import ATTRIBUTES, rfc3339
from rollbook_shared.errors import Problem

_APART: Final = frozenset({"__typename", "updated_at", "preferences", "channel_data"})
_NAMES: Final = Names({"occurred_at": "updated_at"})
_NAMED_BY_PLACE: Final = Names({"id": ""})


def contents(document: object) -> Iterator[tuple[str, Content]]:
    """Each record of a document, with its place within."""
    if not isinstance(document, list):
        yield from _records(document, "")
        return
    for index, item in enumerate(document):
        yield from _records(item, f"[{index}]")


def _records(document: object, within: str) -> Iterator[tuple[str, Content]]:
    match document:
        case {"id": _}:
            yield within, _record(document)
        case {"entries": list(items)}:
            yield from ((joined(within, f"entries[{index}]"), _record(item)) for index, item in enumerate(items))
        case {"users": list(items)}:
            yield from ((joined(within, f"users[{index}]"), _record(item)) for index, item in enumerate(items))
        case {"user_ids": list(ids), "preferences": dict(chosen)}:
            yield from _set_for_many(ids, chosen, within)
        case _:
            yield within, _record(document)


def names_a_further_page(document: object) -> bool | None:
    """Whether a page says that it is not the last one; None: it is no page."""
    match document:
        case {"entries": list(), "page_info": {"after": after}}:
            return after is not None
        case _:
            return None


def _record(item: object) -> Content:
    match item:
        # Knock gives out both with every set; and a set has an `id`, as a user has
        case {"__typename": "PreferenceSet"} | {"workflows": _, "channel_types": _}:
            return Rejected.whole(_names_nobody("a preference set", "preferences"))
        case {"channel_id": _, "data": _}:
            return Rejected.whole(_names_nobody("channel data", "channel_data"))
        case {"__typename": str(kind)} if kind != "User":
            return Skipped("objects")
        case {"id": _, "collection": _}:
            return Skipped("objects")
        case {"user_ids": list()}:
            return Rejected.whole("is a bulk delete; an import deletes nobody")
        case dict() if "id" in item:
            return _user(item)
        case dict():
            return Rejected((Problem("id", "is required"),))
        case _:
            return Rejected.whole("is not a JSON object")


def _user(item: Mapping[str, Any]) -> Content:
    found = Found()
    at = None
    if (told := item.get("updated_at")) is not None and (at := instant(told)) is None:
        found.refuse("updated_at", "must be a time, such as 2026-01-31T09:30:00Z")
    is_given_out = told is not None or "__typename" in item
    user = {
        name: value
        for name, value in item.items()
        # Given out, null only says that there is none. Sent, it takes a value away.
        if name not in _APART and not (value is None and is_given_out and name in ATTRIBUTES)
    }
    if (created := instant(user.get("created_at"))) is not None:
        user["created_at"] = rfc3339(created)
    if (sets := item.get("preferences")) is not None:
        user["preferences"] = preference_sets(sets, found)
    if (channels := item.get("channel_data")) is not None:
        user["channel_data"] = channel_data(channels, found)
    if found.problems:
        return Rejected(tuple(found.problems))
    return Told(user, at, _NAMES, tuple(found.left_out))


def _set_for_many(ids: list[Any], chosen: dict[str, Any], within: str) -> Iterator[tuple[str, Content]]:
    found = Found()
    sets = preference_sets({"id": "default", **chosen}, found)
    if found.problems:
        yield within, Rejected(tuple(found.problems))
        return
    for index, user_id in enumerate(ids):
        user = {"id": user_id, "preferences": sets}
        yield joined(within, f"user_ids[{index}]"), Told(user, names=_NAMED_BY_PLACE, left_out=tuple(found.left_out))


def _names_nobody(what: str, field: str) -> str:
    return f'is {what}, and does not say whose; put it into {{"id": ..., "{field}": [...]}}'
