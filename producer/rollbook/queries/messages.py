"""Queries for feeds, messages and activities, one statement each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from rollbook.models import Activity, ActivityRole, Actor, Feed, Message, Page
from rollbook.queries.page_cursor import TOP, PageCursor
from rollbook.queries.query import Rows, Statement, Steps, query
from rollbook_shared.database.statements import load
from rollbook_shared.domain.stamps import Stamp, datetime_of, occurred_at_of

if TYPE_CHECKING:
    from rollbook.queries.message_selection import MessageSelection

MESSAGES: Final = load(__package__, "messages")
_ACTIVITIES: Final = load(__package__, "activities")


@query
def find_feed(user_id: str, which: MessageSelection, limit: int, count_newest: int | None = None) -> Steps[Feed]:
    """A page of a feed with its counts, of all messages or of the newest."""
    statement = MESSAGES["feed" if count_newest is None else "feed_with_counts_of_newest"]
    rows = yield Statement(statement, {**_messages_page(user_id, which, limit), "count_newest": count_newest})
    # there is a row with the counts even if there is no message
    counts, items = rows[0], [row for row in rows if row["id"] is not None]
    return Feed(
        items=tuple(_message(row, user_id) for row in items[:limit]),
        after=_after(items, limit),
        total=int(counts["total"]),
        unseen=int(counts["unseen"]),
        unread=int(counts["unread"]),
        counts_are_exact=counts["are_exact"],
        merged_into=counts["merged_into"],
    )


@query
def find_messages(user_id: str, which: MessageSelection, limit: int) -> Steps[Page[Message]]:
    """A page of a user's messages, newest first."""
    rows = yield Statement(MESSAGES["page"], _messages_page(user_id, which, limit))
    return Page(items=tuple(_message(row, user_id) for row in rows[:limit]), after=_after(rows, limit))


@query
def find_activities(user_id: str, role: ActivityRole, limit: int, after: PageCursor | None) -> Steps[Page[Activity]]:
    """A page of the activities that concern a user, or that the user caused, newest first."""
    rows = yield Statement(_ACTIVITIES[role], _page(user_id, limit, after))
    return Page(items=tuple(map(_activity, rows[:limit])), after=_after(rows, limit))


@query
def find_message(message_id: UUID) -> Steps[Message | None]:
    """One message with its owner; None if no user owns it."""
    return next(iter((yield from _messages_of((message_id,)))), None)


@query
def find_messages_by_ids(message_ids: Sequence[UUID]) -> Steps[tuple[Message, ...]]:
    """Messages with their owners, in the order of the ids; without those that no user owns."""
    return (yield from _messages_of(message_ids))


@query
def find_owned_ids(user_id: str) -> Steps[tuple[str, ...]]:
    """The ids whose messages a user owns, sorted."""
    rows = yield Statement(MESSAGES["owned_ids"], {"user_id": user_id})
    return tuple(row["user_id"] for row in rows)


def _messages_of(message_ids: Sequence[UUID]) -> Steps[tuple[Message, ...]]:
    rows = yield Statement(MESSAGES["by_ids"], {"ids": list(message_ids)})
    found = {row["id"]: _message(row, row["owner"]) for row in rows}
    return tuple(found[id_] for id_ in message_ids if id_ in found)


def _messages_page(user_id: str, which: MessageSelection, limit: int) -> dict[str, object]:
    return {**_page(user_id, limit, which.after), **which.parameters()}


def _page(user_id: str, limit: int, after: PageCursor | None) -> dict[str, object]:
    cursor = after or TOP
    # one item more than the page holds shows whether this is the last page
    return {"user_id": user_id, "limit": limit + 1, "stamp": cursor.time, "id": cursor.id}


def _after(rows: Rows, limit: int) -> str | None:
    if len(rows) <= limit:
        return None
    return PageCursor(rows[limit - 1]["stamp"], rows[limit - 1]["id"].hex).as_text()


def _message(row: Mapping[str, Any], recipient: str) -> Message:
    # written out: a page has many, and this is a third of the time of reading it
    stamp, id_ = row["stamp"], row["id"]
    seen_at, read_at = _set_at(row["seen"]), _set_at(row["read"])
    interacted_at, archived_at = _set_at(row["interacted"]), _set_at(row["archived"])
    return Message(
        id=str(id_),
        workflow=row["workflow"],
        data=row["data"],
        tenant=row["tenant"],
        occurred_at=datetime_of(occurred_at_of(stamp)),
        recipient=recipient,
        actor=_actor(row),
        channel=row["channel"],
        job_id=row["job_id"],
        categories=tuple(row["categories"]),
        cursor=PageCursor(stamp, id_.hex).as_text(),
        seen=seen_at is not None,
        read=read_at is not None,
        archived=archived_at is not None,
        interacted=interacted_at is not None,
        seen_at=seen_at,
        read_at=read_at,
        interacted_at=interacted_at,
        archived_at=archived_at,
    )


def _set_at(state: str | None) -> datetime | None:
    """When an engagement was set, by its state: a stamp, and + (set) or - (cleared)."""
    return datetime_of(occurred_at_of(Stamp(state))) if state is not None and state.endswith("+") else None


def _activity(row: Mapping[str, Any]) -> Activity:
    return Activity(
        id=str(row["id"]),
        workflow=row["workflow"],
        data=row["data"],
        tenant=row["tenant"],
        occurred_at=datetime_of(occurred_at_of(row["stamp"])),
        recipient=row["owner"],
        actor=_actor(row),
    )


def _actor(row: Mapping[str, Any]) -> Actor | None:
    return Actor(id=row["actor"], name=row["actor_name"], avatar=row["actor_avatar"]) if row["had_actor"] else None
