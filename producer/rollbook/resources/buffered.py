"""The buffered client's users: an identify without options goes into the buffer; all other writes are sent at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Unpack

from rollbook import commands
from rollbook.resources.context import ClientContext, DerivedContext
from rollbook.resources.jobs import JobHandle
from rollbook.resources.users import Users

if TYPE_CHECKING:
    from rollbook.commands import WriteOptions
    from rollbook.publishing.buffered import Buffer


class BufferedContext(DerivedContext):
    """The context of a buffered client. Closing it closes the buffer; the connections are another client's."""

    def __init__(self, context: ClientContext, buffer: Buffer) -> None:
        super().__init__(context, context.publisher())
        self._buffer = buffer

    def publish_buffered(self, user: bytes) -> JobHandle:
        """Put the encoded user into the buffer.

        Raises:
            BufferFull: there was no room within the time to wait for it.
        """
        return JobHandle(self._buffer.add(user, self.now()), "bulk_identify", self.jobs, None)

    def close(self) -> None:
        """Send what is in the buffer, and end its thread."""
        self._buffer.close()


class BufferedUsers(Users):
    """The users of a buffered client."""

    def __init__(self, context: BufferedContext) -> None:
        super().__init__(context)
        self._buffered = context

    def identify(
        self, user_id: str, traits: Mapping[str, Any] | None = None, **options: Unpack[WriteOptions]
    ) -> JobHandle:
        """Create the user or update it, in a bulk job that is sent soon; see `Rollbook.buffered` and `Users.identify`.

        With `job_id`, `occurred_at`, `run_at` or `delay` it is sent at once, as a job of its own.

        Raises:
            InvalidRequest: the call is invalid; each problem names its field. Nothing was buffered.
            BufferFull: too many users wait for the broker; this one was not buffered.
            NotConfigured, NotSent: with options, as of every write.
        """
        # a job with an id or a time of its own is stamped with them, and a bulk job has one id for all its users
        if options and any(value is not None for value in options.values()):
            return Users.identify(self, user_id, traits, **options)
        user = commands.encoded_user_update(user_id, traits, limits=self._context.limits)
        return self._buffered.publish_buffered(user)
