"""Queries for feeds, messages and activities, one statement each."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from rollbook.models import Activity, ActivityRole, Actor, Feed, Message, Page
from rollbook.queries.page_cursor import PageCursor
from rollbook.queries.query import Rows, Statement, Steps, query
from rollbook_shared.database.statements import load
from rollbook_shared.domain.stamps import Stamp, datetime_of, occurred_at_of

MESSAGES: Final = load(__package__, "messages")
_ACTIVITIES: Final = load(__package__, "activities")
_ENGAGEMENTS: Final = ("seen", "read", "interacted", "archived")
TOP: Final = PageCursor("~", "f" * 32)
"""Before the newest item."""


@query
def find_feed(user_id: str, channel: str, status: str, limit: int, after: PageCursor | None) -> Steps[Feed]:
    """A page of a feed with its counts."""
    page = _page(user_id, limit, after)
    rows = yield Statement(MESSAGES["feed"], {**page, "channel": channel, "status": status})
    # there is a row with the counts even if there is no message
    counts, items = rows[0], [row for row in rows if row["id"] is not None]
    return Feed(
        items=tuple(_message(row, user_id) for row in items[:limit]),
        after=_after(items, limit),
        total=int(counts["total"]),
        unseen=int(counts["unseen"]),
        unread=int(counts["unread"]),
        merged_into=counts["merged_into"],
    )


@query
def find_messages(
    user_id: str, channel: str | None, status: str, limit: int, after: PageCursor | None
) -> Steps[Page[Message]]:
    """A page of a user's messages, newest first. The status is a feed's or `any`."""
    page = _page(user_id, limit, after)
    rows = yield Statement(MESSAGES["page"], {**page, "channel": channel, "status": status})
    return Page(items=tuple(_message(row, user_id) for row in rows[:limit]), after=_after(rows, limit))


@query
def find_activities(user_id: str, role: ActivityRole, limit: int, after: PageCursor | None) -> Steps[Page[Activity]]:
    """A page of the activities that concern a user, or that the user caused, newest first."""
    rows = yield Statement(_ACTIVITIES[role], _page(user_id, limit, after))
    return Page(items=tuple(map(_activity, rows[:limit])), after=_after(rows, limit))


@query
def find_message(message_id: UUID) -> Steps[Message | None]:
    """One message with its owner; None if no user owns such a message."""
    rows = yield Statement(MESSAGES["message"], {"id": message_id})
    return _message(rows[0], rows[0]["owner"]) if rows else None


def _page(user_id: str, limit: int, after: PageCursor | None) -> dict[str, object]:
    cursor = after or TOP
    # one item more than the page holds shows whether this is the last page
    return {"user_id": user_id, "limit": limit + 1, "stamp": cursor.time, "id": cursor.id}


def _after(rows: Rows, limit: int) -> str | None:
    if len(rows) <= limit:
        return None
    return PageCursor(rows[limit - 1]["stamp"], rows[limit - 1]["id"].hex).as_text()


def _message(row: Mapping[str, Any], recipient: str) -> Message:
    fields = _activity_fields(row, recipient)
    for name in _ENGAGEMENTS:
        at = _set_at(row[name])
        fields |= {name: at is not None, f"{name}_at": at}
    return Message(**fields, channel=row["channel"])


def _set_at(state: str | None) -> datetime | None:
    """When an engagement was set, by its state: a stamp, and + (set) or - (cleared)."""
    return datetime_of(occurred_at_of(Stamp(state))) if state is not None and state.endswith("+") else None


def _activity(row: Mapping[str, Any]) -> Activity:
    return Activity(**_activity_fields(row, row["owner"]))


def _activity_fields(row: Mapping[str, Any], recipient: str) -> dict[str, Any]:
    actor = Actor(id=row["actor"], name=row["actor_name"], avatar=row["actor_avatar"]) if row["had_actor"] else None
    return {
        "id": str(row["id"]),
        "workflow": row["workflow"],
        "data": row["data"],
        "tenant": row["tenant"],
        "occurred_at": datetime_of(occurred_at_of(Stamp(row["stamp"]))),
        "recipient": recipient,
        "actor": actor,
    }
