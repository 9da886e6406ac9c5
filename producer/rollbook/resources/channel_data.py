"""The channel data of users: what a sender needs to reach them on a channel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

from rollbook import commands, queries
from rollbook.commands import WriteOptions
from rollbook.queries.validation import checked_user_id
from rollbook.resources.context import ClientContext
from rollbook.resources.jobs import JobHandle


class UserChannelData:
    """The methods of `Users` for channel data."""

    def __init__(self, context: ClientContext) -> None:
        self._context = context

    def set_channel_data(
        self,
        user_id: str,
        channel_id: str,
        data: Mapping[str, Any],
        **options: Unpack[WriteOptions],
    ) -> JobHandle:
        """Replace the user's data for one channel. An unknown user is created.

        channel_id: 1 to 256 characters of your choosing.
        data: `{"tokens": ["f3a..."]}` for a push channel, `{"connections": [{...}]}` for a chat channel; any other
            object is kept as it is. At most 256 KiB as JSON.

        Raises:
            InvalidRequest, NotConfigured, NotSent: see `Users`.
        """
        job = commands.set_channel_data(
            user_id, channel_id, data, limits=self._context.limits, now=self._context.now(), **options
        )
        return self._context.publish(job)

    def unset_channel_data(self, user_id: str, channel_id: str, **options: Unpack[WriteOptions]) -> JobHandle:
        """Remove the user's data for one channel. An unknown user stays unknown.

        Raises:
            InvalidRequest, NotConfigured, NotSent: see `Users`.
        """
        job = commands.unset_channel_data(
            user_id, channel_id, limits=self._context.limits, now=self._context.now(), **options
        )
        return self._context.publish(job)

    def get_channel_data(self, user_id: str, channel_id: str) -> dict[str, Any] | None:
        """Read the user's data for one channel, as it was set; None if there is none.

        Raises:
            UserNotFound: no user has this id. If it was merged away, `merged_into` is the primary's id.
            InvalidRequest, NotConfigured, Unavailable: see `Users`.
        """
        return self._context.read(queries.find_channel_data(checked_user_id(user_id))).get(channel_id)
