"""Messages, feed items and activities as JSON, in Knock's shapes.

Times stay as they are: all are in UTC, and the encoder of the answer writes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal, NotRequired

from typing_extensions import TypedDict

from rollbook.models import Activity, Actor, Content, Feed, Message
from rollbook_server.api.content_blocks import Block, blocks_of
from rollbook_server.api.shapes import PageInfo, UserBody, page_info_as_json
from rollbook_shared.registry import Registry

_ENGAGEMENTS: Final = ("seen", "read", "interacted", "archived")
_IN_APP: Final = "in_app"

Source = TypedDict(
    "Source",
    {
        "__typename": Literal["NotificationSource"],
        "key": str,
        "version_id": str,
        "categories": list[str],
        "type": Literal["workflow"],
        "workflow_run_id": str,
    },
)
"""The workflow that made a message."""

MessageBody = TypedDict(
    "MessageBody",
    {
        "__typename": Literal["Message"],
        "id": str,
        "channel_id": str,
        "recipient": str,
        "actors": list[str],
        "source": Source,
        "workflow": str,
        "tenant": str | None,
        "data": dict[str, Any],
        "status": Literal["queued", "sent", "delivered", "delivery_attempted", "undelivered", "not_sent", "bounced"],
        "engagement_statuses": list[Literal["seen", "read", "interacted", "archived"]],
        "seen_at": str | None,
        "read_at": str | None,
        "interacted_at": str | None,
        "archived_at": str | None,
        "link_clicked_at": None,
        "clicked_at": None,
        "scheduled_at": None,
        "metadata": dict[str, Any],
        "inserted_at": str,
        "updated_at": str,
        "__cursor": str,
    },
)
"""A message for one recipient on one channel."""

ActivityBody = TypedDict(
    "ActivityBody",
    {
        "__typename": Literal["Activity"],
        "id": str,
        "actor": NotRequired[dict[str, Any] | None],
        "recipient": dict[str, Any],
        "data": dict[str, Any],
        "inserted_at": str,
        "updated_at": str,
    },
)
"""A trigger, for one recipient."""

FeedItemBody = TypedDict(
    "FeedItemBody",
    {
        "__typename": Literal["FeedItem"],
        "__cursor": str,
        "id": str,
        "activities": list[ActivityBody],
        "actors": list[dict[str, Any]],
        "total_activities": int,
        "total_actors": int,
        "blocks": list[Block],
        "source": Source,
        "tenant": str | None,
        "data": dict[str, Any],
        "seen_at": str | None,
        "read_at": str | None,
        "interacted_at": str | None,
        "archived_at": str | None,
        "link_clicked_at": None,
        "clicked_at": None,
        "inserted_at": str,
        "updated_at": str,
    },
)
"""A message in a feed."""


InAppContent = TypedDict("InAppContent", {"__typename": Literal["MessageInAppFeedContent"], "blocks": list[Block]})
"""What a template makes of a message in a feed."""

MessageContentBody = TypedDict(
    "MessageContentBody",
    {
        "__typename": Literal["MessageContent"],
        "message_id": str,
        "inserted_at": str,
        "data": InAppContent,
    },
)
"""The content of one message."""


class FeedCounts(TypedDict):
    """The counts of a whole feed, without archived messages."""

    total_count: int
    unseen_count: int
    unread_count: int


class FeedPage(TypedDict):
    """A page of a feed."""

    entries: list[FeedItemBody]
    meta: FeedCounts
    page_info: PageInfo
    vars: dict[str, Any]


class MessagePage(TypedDict):
    """A page of messages."""

    items: list[MessageBody]
    page_info: PageInfo


class ActivityPage(TypedDict):
    """A page of activities."""

    items: list[ActivityBody]
    page_info: PageInfo


def message_as_json(message: Message, registry: Registry) -> dict[str, Any]:
    """The message as `MessageBody`."""
    actor = message.actor
    return {
        "__typename": "Message",
        "id": message.id,
        "channel_id": registry.channel_of_type(message.channel).key,
        "recipient": message.recipient,
        "actors": [] if actor is None or actor.id is None else [actor.id],
        "workflow": message.workflow,
        "status": "delivered" if message.channel == _IN_APP else "queued",
        "engagement_statuses": [name for name in _ENGAGEMENTS if getattr(message, name)],
        "metadata": {},
        "scheduled_at": None,
        **_shared(message),
    }


def message_content_as_json(message: Message, content: Content | None) -> dict[str, Any]:
    """The content as `MessageContentBody`."""
    return {
        "__typename": "MessageContent",
        "message_id": message.id,
        "inserted_at": message.occurred_at,
        "data": {"__typename": "MessageInAppFeedContent", "blocks": blocks_of(content)},
    }


def feed_item_as_json(message: Message, content: Content | None, *, compact: bool) -> dict[str, Any]:
    """The message as `FeedItemBody`.

    content: None: it has no template, and no blocks.
    compact: without activities, and without objects and lists in its data.
    """
    actors = [] if message.actor is None else [actor_as_json(message.actor, message.occurred_at)]
    item = {
        "__typename": "FeedItem",
        "id": message.id,
        "activities": [] if compact else [activity_as_json(message)],
        "actors": actors,
        "blocks": blocks_of(content),
        "total_activities": 1,
        "total_actors": len(actors),
        **_shared(message),
    }
    if compact:
        item["data"] = {key: value for key, value in message.data.items() if not isinstance(value, dict | list)}
    return item


def feed_as_json(feed: Feed, contents: Mapping[str, Content], *, size: int, compact: bool) -> dict[str, Any]:
    """The page as `FeedPage`.

    contents: by the ids of the messages.
    """
    return {
        "entries": [feed_item_as_json(item, contents.get(item.id), compact=compact) for item in feed.items],
        "meta": counts_as_json(feed),
        "page_info": page_info_as_json(
            after=feed.after, before=feed.items[0].cursor if feed.items else None, size=size
        ),
        "vars": {},
    }


def counts_as_json(feed: Feed) -> dict[str, Any]:
    """The counts of the feed."""
    return {"total_count": feed.total, "unseen_count": feed.unseen, "unread_count": feed.unread}


def activity_as_json(activity: Activity) -> dict[str, Any]:
    """The activity as `ActivityBody`."""
    at = activity.occurred_at
    return {
        "__typename": "Activity",
        "id": activity.id,
        "actor": None if activity.actor is None else actor_as_json(activity.actor, at),
        "recipient": {"__typename": "User", "id": activity.recipient, "updated_at": at},
        "data": dict(activity.data),
        "inserted_at": at,
        "updated_at": at,
    }


def actor_as_json(actor: Actor, at: datetime) -> dict[str, Any]:
    """The actor as a user. One who is missing has an empty id, for SDKs that want a text, and says so.

    at: stands for the time of the actor's last change, which is not read; SDKs want one.
    """
    body = {"__typename": "User", "id": actor.id or "", "name": actor.name, "avatar": actor.avatar, "updated_at": at}
    return {**body, "missing": True} if actor.missing else body


def _shared(message: Message) -> dict[str, Any]:
    """What messages and feed items have in common. Its times are encoded with the rest of the answer."""
    at = message.occurred_at
    seen, read = message.seen_at, message.read_at
    interacted, archived = message.interacted_at, message.archived_at
    return {
        "__cursor": message.cursor,
        "source": {
            "__typename": "NotificationSource",
            "key": message.workflow,
            "version_id": message.workflow,
            "categories": message.categories,
            "type": "workflow",
            "workflow_run_id": message.job_id,
        },
        "tenant": message.tenant,
        "data": dict(message.data),
        "seen_at": seen,
        "read_at": read,
        "interacted_at": interacted,
        "archived_at": archived,
        "link_clicked_at": None,
        "clicked_at": None,
        "inserted_at": at,
        "updated_at": max(at, seen or at, read or at, interacted or at, archived or at),
    }


__all__ = [
    "ActivityPage",
    "FeedPage",
    "MessageBody",
    "MessageContentBody",
    "MessagePage",
    "UserBody",
    "activity_as_json",
    "actor_as_json",
    "counts_as_json",
    "feed_as_json",
    "message_as_json",
    "message_content_as_json",
]
