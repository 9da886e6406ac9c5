"""Messages: read them on every channel, and record engagement."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Unpack

from rollbook import commands, queries

if TYPE_CHECKING:
    from uuid import UUID

    from rollbook.commands import WriteOptions
    from rollbook.models import ArchivedFilter, Engagement, FeedStatus, Message, MessageExplanation, Page
    from rollbook.queries import MessageFilter
    from rollbook.resources.context import ClientContext
    from rollbook.resources.jobs import JobHandle


class Messages:
    """Read messages of every channel, and record engagement."""

    def __init__(self, context: ClientContext) -> None:
        self._context = context

    def list(
        self,
        user_id: str,
        *,
        limit: int = 50,
        after: str | None = None,
        before: str | None = None,
        channel: str | None = None,
        status: FeedStatus | None = None,
        archived: ArchivedFilter | None = None,
        where: MessageFilter | None = None,
    ) -> Page[Message]:
        """Read a page of a user's messages, newest first. An unknown id and a merged-away id have none.

        limit: 1 to 1,000 messages.
        after: the `after` of the previous page, or the `cursor` of a message: only older ones.
        before: the `cursor` of a message: only newer ones.
        channel: by default all channels.
        status: by default all messages, archived or not; otherwise as in a feed.
        archived: by default as the status says.
        where: which messages; by default all.

        Raises:
            InvalidRequest: an argument is invalid; the problem names it.
            NotConfigured: there is no database URL, the extra `read` is not installed, the tables are missing
                (`rollbook migrate`), or the role in the URL may not read them.
            Unavailable: the database does not answer.
        """
        user_id = queries.checked_user_id(user_id)
        which = queries.checked_message_selection(limit, after, before, channel, status, archived, where)
        return self._context.read(queries.find_messages(user_id, which, limit))

    def get(self, message_id: str | UUID) -> Message | None:
        """Read one message; its `recipient` is the user who owns it now. None if there is none, if preferences do not
        allow it, or if no user owns it any more.

        Raises:
            InvalidRequest, NotConfigured, Unavailable: see `list`.
        """
        return self._context.read(queries.find_message(queries.checked_message_id(message_id)))

    def get_many(self, message_ids: Iterable[str | UUID]) -> tuple[Message, ...]:
        """Read 1 to 1,000 messages in the order of their ids as given, each as `get` does; those that `get` does not
        find are left out.

        Raises:
            InvalidRequest, NotConfigured, Unavailable: see `list`.
        """
        return self._context.read(queries.find_messages_by_ids(queries.checked_message_ids(message_ids)))

    def explain(self, message_id: str | UUID) -> MessageExplanation | None:
        """Read why a message is where it is: whose it is and why, which preference settings let it through or stopped
        it and which job set them, and what became of its delivery. None if there is no such message.

        A message that preferences stop is kept, so it can be explained; `get` and lists leave it out. Its id follows
        from the trigger: `explain_recipient` takes job, recipient and channel.

        Raises:
            InvalidRequest, NotConfigured, Unavailable: see `list`.
        """
        query = queries.explain_message(queries.checked_message_id(message_id), self._context.merge_history)
        return self._context.read(query)

    def explain_recipient(self, job_id: str, user_id: str, *, channel: str = "in_app") -> MessageExplanation | None:
        """Explain the message that a trigger made for one recipient on a channel, as `explain` does. None if it made
        none: `rb.jobs.get(job_id)` then says whether the job was applied, and lists recipients in `skipped` who were
        not known.

            rb.messages.explain_recipient("comment-17", "bo", channel="email")

        job_id: the id of the trigger's job.
        user_id: the recipient's id as the trigger named it.
        channel: the type of the channel.

        Raises:
            InvalidRequest, NotConfigured, Unavailable: see `list`.
        """
        queries.check_channel(channel)
        from rollbook_shared.domain.deterministic_ids import message_id as id_of_message

        id_ = id_of_message(queries.checked_job_id(job_id), queries.checked_user_id(user_id), channel)
        return self._context.read(queries.explain_message(id_, self._context.merge_history))

    def mark(
        self,
        message_ids: Iterable[str | UUID],
        engagement: Engagement,
        *,
        user_id: str | None = None,
        **options: Unpack[WriteOptions],
    ) -> JobHandle:
        """Mark 1 to 1,000 messages as seen, read, interacted or archived, or take that back.

        Engagement is a job like every other write, so it survives a broker that is down, may be delivered twice, and
        may arrive before its message. Of an engagement and its opposite, the one that happened last counts, whichever
        arrives last. Marking a message again changes its time only. They are independent: a read message may be unseen,
        and archiving does not mark as read; only `interacted` marks as read as well. Engagement stays with its message
        when users are merged.

            rb.messages.mark([item.id for item in rb.feeds.list("ann").items], "seen", user_id="ann")

        message_ids: the `id` of messages from a feed or from `list`. An id of no message does no harm.
        engagement: `seen`, `read`, `interacted`, `archived`, or `unseen`, `unread`, `unarchived`.
        user_id: the user who asks. The call counts only for messages of that user, also after merges, and does nothing
            to others. Give it whenever the ids come from a browser or an app: ids of messages are not secret. By
            default it counts for any message.
        options: as for every write: `job_id`, `occurred_at`, `run_at`, `delay`; see `Users`.

        Raises:
            InvalidRequest: the call is invalid; each problem names its field and index. Nothing was sent.
            NotConfigured: there is no broker URL. With `rb.outbox(...)`: the table `rollbook_outbox` is missing.
            NotSent: the broker may not have the job; sending it again with the error's `job_id` is safe.
        """
        job = commands.mark(
            message_ids,
            engagement,
            user_id=user_id,
            limits=self._context.limits,
            now=self._context.now(),
            **options,
        )
        return self._context.publish(job)

    def mark_all(
        self, user_id: str, engagement: Engagement, *, channel: str = "in_app", **options: Unpack[WriteOptions]
    ) -> JobHandle:
        """Mark all messages that a user has on a channel by now, with one small job, however many they are.

        It holds for the messages that occurred before it, also for those that arrive late, and for none that occurs
        later. A `mark` of one message with a later time stands over it. Messages that become the user's by a later
        merge stay as they are.

            rb.messages.mark_all("ann", "read")

        user_id: an id of the user, also one that was merged away. An unknown user has no messages.
        engagement: as for `mark`.
        channel: by default the feed's.

        Raises:
            InvalidRequest, NotConfigured, NotSent: see `mark`.
        """
        job = commands.mark_all(
            user_id, engagement, channel=channel, limits=self._context.limits, now=self._context.now(), **options
        )
        return self._context.publish(job)
