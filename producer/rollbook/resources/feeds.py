"""Feeds: the messages of a user on one channel, as a product shows them."""

from __future__ import annotations

from typing import get_args

from rollbook import queries
from rollbook.models import Feed, FeedStatus
from rollbook.queries.page_cursor import HISTORY, parse_cursor
from rollbook.queries.validation import check_channel, check_choice, check_page, checked_user_id
from rollbook.resources.context import ClientContext


class Feeds:
    """Read feeds, as the workers have applied them so far. Needs the database, and no broker."""

    def __init__(self, context: ClientContext) -> None:
        self._context = context

    def list(
        self,
        user_id: str,
        *,
        status: FeedStatus = "all",
        limit: int = 20,
        after: str | None = None,
        channel: str = "in_app",
    ) -> Feed:
        """Read a page of a user's feed, newest first, with the counts of the whole feed.

        Messages are sorted by when they happened, not by when they were delivered. After a merge the feed of the
        primary has the messages of both users, back to 30 days before the merge, with their engagement.

        The feed of an unknown or deleted user is empty. So is the feed of a merged-away id, whose `merged_into` is the
        primary's id. This call does not follow it: the person who holds the id of a guest may not be the one who
        signed in later. An application that knows they are the same reads the primary's feed.

        status: `all`: everything except archived messages. `unseen`, `unread`: those of `all` that are not seen or not
            read. `archived`: only archived messages.
        limit: 1 to 1,000 messages.
        after: the `after` of the previous page. New messages do not shift the pages.
        channel: the channel whose messages the feed holds.

        Raises:
            InvalidRequest: an argument is invalid; the problem names it.
            NotConfigured: there is no database URL, the extra `read` is not installed, the tables are missing
                (`rollbook migrate`), or the role in the URL may not read them.
            Unavailable: the database does not answer.
        """
        user_id = checked_user_id(user_id)
        check_page(limit, after)
        check_choice("status", status, get_args(FeedStatus))
        check_channel(channel)
        cursor = parse_cursor(after, HISTORY)
        return self._context.read(queries.find_feed(user_id, channel, status, limit, cursor))
