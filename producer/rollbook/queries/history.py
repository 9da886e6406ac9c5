"""Reads feeds, messages and activities: one statement each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, text

from rollbook.models import Activity, ActivityRole, Actor, Feed, Message, Page
from rollbook.queries.cursors import Cursor
from rollbook.queries.statements import load
from rollbook_shared.domain.stamps import datetime_of, occurred_at_of

_MESSAGES: Final = load("messages")
PAGE: Final = text(_MESSAGES["page"])
FEED: Final = text(_MESSAGES["feed"])
_ACTIVITIES: Final = {role: text(statement) for role, statement in load("activities").items()}


def find_feed(connection: Connection, user_id: str, channel: str, status: str, limit: int, after: Cursor) -> Feed:
    """A page of the feed with its counts."""
    asked = _asked(user_id, limit, after) | {"channel": channel, "status": status}
    rows = connection.execute(FEED, asked).mappings().all()
    # counts come even if there is no message
    found, items = rows[0], [row for row in rows if row["id"] is not None]
    return Feed(
        items=tuple(_message(row, user_id) for row in items[:limit]),
        after=_after(items, limit),
        total=int(found["total"]),
        unseen=int(found["unseen"]),
        unread=int(found["unread"]),
        merged_into=found["merged_into"],
    )


def find_messages(
    connection: Connection, user_id: str, channel: str | None, status: str, limit: int, after: Cursor
) -> Page[Message]:
    """A page of messages; `any` status, or one of a feed's."""
    asked = _asked(user_id, limit, after) | {"channel": channel, "status": status}
    rows = connection.execute(PAGE, asked).mappings().all()
    return Page(items=tuple(_message(row, user_id) for row in rows[:limit]), after=_after(rows, limit))


def find_activities(
    connection: Connection, user_id: str, role: ActivityRole, limit: int, after: Cursor
) -> Page[Activity]:
    """A page of the activities that concern a user, or that the user caused."""
    rows = connection.execute(_ACTIVITIES[role], _asked(user_id, limit, after)).mappings().all()
    return Page(items=tuple(map(_activity, rows[:limit])), after=_after(rows, limit))


def _asked(user_id: str, limit: int, after: Cursor) -> dict[str, object]:
    # one more than asked for tells whether this is the last page
    return {"user_id": user_id, "limit": limit + 1, "stamp": after.stamp, "id": after.id}


def _after(rows: Sequence[RowMapping], limit: int) -> str | None:
    if len(rows) <= limit:
        return None
    return Cursor(rows[limit - 1]["stamp"], rows[limit - 1]["id"]).as_text()


def _message(row: RowMapping, recipient: str) -> Message:
    return Message(
        **_shared(row, recipient),
        channel=row["channel"],
        seen=row["seen"],
        read=row["read"],
        archived=row["archived"],
    )


def _activity(row: RowMapping) -> Activity:
    return Activity(**_shared(row, row["owner"]))


def _shared(row: RowMapping, recipient: str) -> dict[str, Any]:
    return {
        "id": str(row["id"]),
        "workflow": row["workflow"],
        "data": row["data"],
        "tenant": row["tenant"],
        "occurred_at": datetime_of(occurred_at_of(row["stamp"])),
        "recipient": recipient,
        "actor": Actor(id=row["actor"], name=row["actor_name"], avatar=row["actor_avatar"])
        if row["had_actor"]
        else None,
    }
