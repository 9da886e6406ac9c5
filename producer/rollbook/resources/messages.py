"""Messages: read on every channel, and marked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Unpack, get_args
from uuid import UUID

from rollbook.commands import WriteOptions, as_list
from rollbook.models import Engagement, FeedStatus, Message, Page
from rollbook.queries.cursors import cursor_of
from rollbook.queries.validation import checked_channel, checked_choice, checked_page, checked_user_id
from rollbook.resources.context import ClientContext
from rollbook.resources.jobs import JobHandle
from rollbook_shared import jobs
from rollbook_shared.errors import Problem

MAX_MARKED: Final = 1_000
"""Messages in one job of marks, as its model has it."""


class Messages:
    """Read messages of every channel, and mark them."""

    def __init__(self, context: ClientContext) -> None:
        self._context = context

    def list(
        self,
        user_id: str,
        *,
        limit: int = 50,
        after: str | None = None,
        channel: str | None = None,
        status: FeedStatus | None = None,
    ) -> Page[Message]:
        """Read a page of a user's messages, newest first. Nobody's id, and a merged-away one, has none.

        limit: 1 to 1,000.
        after: the `after` of the page before.
        channel: by default every channel.
        status: by default every message, archived or not; else as in a feed.

        Raises:
            InvalidRequest: an argument cannot be used; the problem names it.
            NotConfigured: there is no database URL, the extra `read` is not installed, the tables are missing
                (`rollbook migrate`), or the URL's role may not read them.
            Unavailable: the database does not answer.
        """
        user_id = checked_user_id(user_id)
        checked_page(limit, after)
        if status is not None:
            checked_choice("status", status, get_args(FeedStatus))
        if channel is not None:
            checked_channel(channel)
        return self._context.reader().messages(user_id, channel, status or "any", limit, cursor_of(after))

    def mark(
        self, message_ids: Iterable[str | UUID], engagement: Engagement, **options: Unpack[WriteOptions]
    ) -> JobHandle:
        """Mark 1 to 1,000 messages as seen, read or archived, or take the mark away again.

        A mark is a job like every other, and not a write of its own: so it survives a lost broker or a redelivery, may
        come before its message does, and of a mark and its opposite the one that happened last counts, whichever
        arrives last. To mark what is marked changes nothing. The three marks are independent: what is read may be
        unseen, and archiving does not read. A mark stays with its message through merges.

        Whether the messages are those of whoever asks is for the application to check; ids are not secret.

            rb.messages.mark([item.id for item in rb.feeds.list("ann").items], "seen")

        message_ids: the `id` of items of a feed or of `list`; an id of no message does no harm.
        engagement: `seen`, `read`, `archived`, or `unseen`, `unread`, `unarchived`.
        options: as with every write: `job_id`, `occurred_at`, `run_at`, `delay`.

        Raises:
            InvalidRequest: something is wrong with it, named by field and index; nothing was sent.
            NotConfigured: there is no broker URL. Of `rb.outbox(...)`: there is no table `rollbook_outbox`.
            NotSent: the broker may not have it; send it again with the error's `job_id`.
        """
        found: list[Problem] = []
        given = as_list(found, message_ids, "message_ids", limit=MAX_MARKED, what="message ids")
        return self._context.send(jobs.Mark, found, options, message_ids=given, engagement=engagement)
