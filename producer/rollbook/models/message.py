"""Messages and feeds, as reads return them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from rollbook.models.activity import Activity
from rollbook.models.model import Model

FeedStatus = Literal["all", "unseen", "seen", "unread", "read", "archived"]
"""Which messages of a feed to read. `archived` reads only archived messages; the others read none of those."""
ArchivedFilter = Literal["exclude", "include", "only"]
"""Whether to read archived messages."""
Engagement = Literal["seen", "unseen", "read", "unread", "interacted", "archived", "unarchived"]
"""What a recipient did with a message, or the opposite, which takes it back. `interacted` has none, and sets `read`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Message(Activity):
    """One notification for one recipient on one `channel` (`in_app`, `push` and so on).

    `seen`, `read`, `interacted` and `archived` are independent of each other, except that `interacted` sets `read`.
    """

    channel: str
    job_id: str
    """The id of the trigger's job."""
    categories: tuple[str, ...] = ()
    """Those of the trigger."""
    cursor: str
    """Where the message stands in every list of messages: pass it as `after` to read older ones, and as `before` to
    read newer ones.
    """
    seen: bool
    read: bool
    archived: bool
    interacted: bool = False
    seen_at: datetime | None = None
    """When it was marked as seen, the last time; None if it is not seen."""
    read_at: datetime | None = None
    """When it was marked as read, likewise."""
    interacted_at: datetime | None = None
    """When it was marked as interacted, likewise."""
    archived_at: datetime | None = None
    """When it was archived, likewise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Feed(Model):
    """A page of a user's feed, with the counts of the whole feed.

    The counts cover every page, whatever status the page was read with, and no archived messages: `total` counts
    messages, `unseen` and `unread` those that are not seen or not read. Items and counts come from the same snapshot.
    """

    items: tuple[Message, ...] = ()
    """The messages of this page, newest first."""
    after: str | None = None
    """Pass it as `after` to read the next page; None on the last page."""
    total: int = 0
    unseen: int = 0
    unread: int = 0
    counts_are_exact: bool = True
    """False: the feed was read with `count_newest`, and has older messages, which were not counted."""
    merged_into: str | None = None
    """If this id was merged away: the primary, which has the messages now. The feed itself is then empty."""
