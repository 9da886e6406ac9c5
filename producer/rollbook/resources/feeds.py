"""Feeds: the messages of a user, as a product shows them."""

from __future__ import annotations

from typing import get_args

from rollbook.models import Feed, FeedStatus
from rollbook.queries.cursors import cursor_of
from rollbook.queries.validation import checked_channel, checked_choice, checked_page, checked_user_id
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

        What happened last is first, whenever it was delivered. After a merge the feed of the primary has the messages
        of both, back to 30 days before the merge, with their marks.

        An unknown or deleted user has an empty feed. So has a merged-away id, and `merged_into` names the user that it
        stands for: it is not followed here, for who holds the id of a guest need not be who signed in later. Where
        the application knows that it is, it asks again with that id.

        status: `all` is everything but the archived ones; `unseen` and `unread` are those of `all` without that mark;
            `archived` is the archived ones alone.
        limit: 1 to 1,000.
        after: the `after` of the page before. Messages that came meanwhile shift no page.
        channel: feeds are made of one channel's messages.

        Raises:
            InvalidRequest: an argument cannot be used; the problem names it.
            NotConfigured: there is no database URL, the extra `read` is not installed, the tables are missing
                (`rollbook migrate`), or the URL's role may not read them.
            Unavailable: the database does not answer.
        """
        user_id = checked_user_id(user_id)
        checked_page(limit, after)
        checked_choice("status", status, get_args(FeedStatus))
        checked_channel(channel)
        return self._context.reader().feed(user_id, channel, status, limit, cursor_of(after))
