"""The channel data of users: what is needed to reach them on a channel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

from rollbook.commands import WriteOptions, plain
from rollbook.queries.validation import checked_user_id
from rollbook.resources.context import ClientContext
from rollbook.resources.jobs import JobHandle
from rollbook_shared import jobs


class ChannelDataCalls:
    """The part of `Users` that is about channel data."""

    def __init__(self, context: ClientContext) -> None:
        self._context = context

    def set_channel_data(
        self,
        user_id: str,
        channel_id: str,
        data: Mapping[str, Any],
        **options: Unpack[WriteOptions],
    ) -> JobHandle:
        """Replace what is needed to reach a user on one channel; an unknown user is created.

        channel_id: 1 to 256 characters of your choosing.
        data: `{"tokens": ["f3a..."]}` for a push channel, `{"connections": [{...}]}` for a chat; any other object is
            kept as sent. At most 256 KiB as JSON.

        Raises:
            InvalidRequest, NotConfigured, NotSent: see `Users`.
        """
        return self._context.send(
            jobs.SetChannelData, [], options, user_id=user_id, channel_id=channel_id, data=plain(data)
        )

    def unset_channel_data(self, user_id: str, channel_id: str, **options: Unpack[WriteOptions]) -> JobHandle:
        """Take one channel's data from a user; an unknown user stays unknown.

        Raises:
            InvalidRequest, NotConfigured, NotSent: see `Users`.
        """
        return self._context.send(jobs.UnsetChannelData, [], options, user_id=user_id, channel_id=channel_id)

    def get_channel_data(self, user_id: str, channel_id: str) -> dict[str, Any] | None:
        """Read one channel's data of a user, as it was set; None when it has none for this channel.

        Raises:
            UserNotFound: nobody has this id now; `merged_into` names the user that a merged-away id stands for.
            InvalidRequest, NotConfigured, Unavailable: see `Users`.
        """
        user_id = checked_user_id(user_id)
        return self._context.reader().channel_data(user_id).get(channel_id)
