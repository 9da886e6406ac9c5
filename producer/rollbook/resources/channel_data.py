"""The channel data of users: what a sender needs to reach them on a channel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Unpack

from rollbook import commands, queries

if TYPE_CHECKING:
    from rollbook.commands import WriteOptions
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

    def add_push_token(
        self,
        user_id: str,
        channel_id: str,
        token: str,
        device: Mapping[str, str | None] | None = None,
        **options: Unpack[WriteOptions],
    ) -> JobHandle:
        """Add a push token to the user's data for one channel, and leave the other tokens. An unknown user is created.

            rb.users.add_push_token("ann", "push", "f3a...", {"locale": "de", "timezone": "Europe/Berlin"})

        Each token is a value of its own with its own time, so devices that register at once do not overwrite each
        other. A `set_channel_data` replaces all tokens that are older than it, and none that are newer, in whatever
        order they arrive. Adding a token again renews its device, and makes it the last of the list.

        token: 1 to 4,096 characters.
        device: what is known of the device: `locale` and `timezone`.

        Raises:
            InvalidRequest, NotConfigured, NotSent: see `Users`.
        """
        job = commands.add_push_token(
            user_id, channel_id, token, device, limits=self._context.limits, now=self._context.now(), **options
        )
        return self._context.publish(job)

    def remove_push_token(
        self, user_id: str, channel_id: str, token: str, **options: Unpack[WriteOptions]
    ) -> JobHandle:
        """Remove a push token from the user's data for one channel. An unknown user stays unknown.

        With its last token the data of the channel is removed, unless it has other keys.

        Raises:
            InvalidRequest, NotConfigured, NotSent: see `Users`.
        """
        job = commands.remove_push_token(
            user_id, channel_id, token, limits=self._context.limits, now=self._context.now(), **options
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

        Data with `tokens` has `devices` as well: of each token its `token`, `locale` and `timezone`, which are None
        unless they are known.

        Raises:
            UserNotFound: no user has this id. If it was merged away, `merged_into` is the primary's id.
            InvalidRequest, NotConfigured, Unavailable: see `Users`.
        """
        return self._context.read(queries.find_channel_data(queries.checked_user_id(user_id), channel_id))
