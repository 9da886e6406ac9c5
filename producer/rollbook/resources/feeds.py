"""Feeds: the messages of a user on one channel, as a product shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rollbook import queries

if TYPE_CHECKING:
    from rollbook.models import ArchivedFilter, Feed, FeedStatus
    from rollbook.queries import MessageFilter
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
        before: str | None = None,
        channel: str = "in_app",
        archived: ArchivedFilter | None = None,
        where: MessageFilter | None = None,
        count_newest: int | None = None,
    ) -> Feed:
        """Read a page of a user's feed, newest first, with the counts of the whole feed.

        Messages are sorted by when they happened, not by when they were delivered. After a merge the feed of the
        primary has the messages of both users, back to 30 days before the merge, with their engagement.

        The feed of an unknown or deleted user is empty. So is the feed of a merged-away id, whose `merged_into` is the
        primary's id. This call does not follow it: the person who holds the id of a guest may not be the one who
        signed in later. An application that knows they are the same reads the primary's feed.

        Messages have the data of their trigger, and no content: what templates make of them is in the feed of the HTTP
        API (`docs/how-to/templates.md`).

        status: `all`: everything except archived messages. `unseen`, `seen`, `unread`, `read`: those of `all` that are
            so. `archived`: only archived messages.
        limit: 1 to 1,000 messages.
        after: the `after` of the previous page, or the `cursor` of a message: only older ones. New messages do not
            shift the pages.
        before: the `cursor` of a message: only newer ones.
        channel: the channel whose messages the feed holds.
        archived: `include` or `only`: archived messages as well, or only those; by default as the status says.
        where: which messages, such as those of one workflow or tenant; the counts are then of these.
        count_newest: count only so many of the newest messages, 1 to 10,000. A bell that shows `99+` needs no more, and
            to count a million messages takes a third of a second. `counts_are_exact` says whether there are more.

        Raises:
            InvalidRequest: an argument is invalid; the problem names it.
            NotConfigured: there is no database URL, the extra `read` is not installed, the tables are missing
                (`rollbook migrate`), or the role in the URL may not read them.
            Unavailable: the database does not answer.
        """
        user_id = queries.checked_user_id(user_id)
        which = queries.checked_message_selection(limit, after, before, channel, status, archived, where, of_feed=True)
        queries.check_count_newest(count_newest)
        return self._context.read(queries.find_feed(user_id, which, limit, count_newest))

    def user_ids(self, user_id: str) -> tuple[str, ...]:
        """The ids whose messages are in a user's feed: the user's own, and those that were merged into it, sorted.

        An unknown, a deleted and a merged-away user have none.

        Raises:
            InvalidRequest: the id is invalid.
            NotConfigured, Unavailable: see `list`.
        """
        return self._context.read(queries.find_owned_ids(queries.checked_user_id(user_id)))
