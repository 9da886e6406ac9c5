"""What feeds and lists of messages and activities are made of. Plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

FeedStatus = Literal["all", "unseen", "unread", "archived"]
"""Which messages of a feed: `archived` are those alone, and in none of the others."""
Engagement = Literal["seen", "unseen", "read", "unread", "archived", "unarchived"]
"""A mark on a message, or its opposite."""
Role = Literal["recipient", "actor"]
"""As what a user takes part in an activity."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Actor:
    """Who caused something: what a feed shows of a user, or that the user is missing.

    Missing is who was deleted since, was not known when it happened, or whose history a merge left behind: `id` is
    None. `name` and `avatar` (a URL) are as the user has them now.
    """

    id: str | None
    name: str | None = None
    avatar: str | None = None

    @property
    def missing(self) -> bool:
        """Whether the actor is nobody now."""
        return self.id is None

    def as_dict(self) -> dict[str, Any]:
        """The actor as JSON; a missing one is the marker `{"id": None, "missing": True}`."""
        if self.id is None:
            return {"id": None, "missing": True}
        return {"id": self.id, "name": self.name, "avatar": self.avatar}


@dataclass(frozen=True, kw_only=True, slots=True)
class Activity:
    """That a trigger concerned a user; `workflow`, `data` and `tenant` are as the trigger had them."""

    id: str
    """A UUID as text, the same however often the trigger was delivered."""
    workflow: str
    data: Mapping[str, Any]
    tenant: str | None
    occurred_at: datetime
    """When the trigger happened: aware, UTC."""
    recipient: str
    """The user whose activity it is now; through merges that may be another than was addressed."""
    actor: Actor | None
    """None: none was named."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Message(Activity):
    """One notification for one user on one `channel` (`in_app`, `push` ...).

    The marks `seen`, `read` and `archived` are independent of each other.
    """

    channel: str
    seen: bool
    read: bool
    archived: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Feed:
    """A page of a feed, and counts of all of it: of every page, whatever the page's status; archived ones not counted.

    `total` counts messages, `unseen` and `unread` those without that mark. One moment is shown: the counts fit the
    items.
    """

    items: tuple[Message, ...] = field(default=())
    """Newest first."""
    after: str | None = None
    """Pass it as `after` to get the next page; None on the last."""
    total: int = 0
    unseen: int = 0
    unread: int = 0
    merged_into: str | None = None
    """The user that this merged-away id stands for, whose feed has what this one had; the feed itself is empty."""
