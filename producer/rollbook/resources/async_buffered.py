"""The buffered asynchronous client's users: an identify without options goes into the buffer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rollbook.resources.async_context import AsyncClientContext, DerivedAsyncContext
from rollbook.resources.async_jobs import AsyncJobHandle
from rollbook.resources.async_resources import AsyncUsers, write
from rollbook.resources.buffered import BufferedUsers

if TYPE_CHECKING:
    from rollbook.publishing.async_buffered import AsyncBuffer


class AsyncBufferedContext(DerivedAsyncContext):
    """The context of a buffered client. Closing it closes the buffer; the connections are another client's."""

    def __init__(self, context: AsyncClientContext, buffer: AsyncBuffer) -> None:
        super().__init__(context, context.publisher())
        self._buffer = buffer

    async def publish_buffered(self, user: bytes) -> AsyncJobHandle:
        """Put the encoded user into the buffer.

        Raises:
            BufferFull: there was no room within the time to wait for it.
        """
        return AsyncJobHandle(await self._buffer.add(user, self.now()), "bulk_identify", self.jobs, None)

    async def aclose(self) -> None:
        """Send what is in the buffer, and end its task."""
        await self._buffer.aclose()


class AsyncBufferedUsers(AsyncUsers):
    """The users of a buffered asynchronous client."""

    def __init__(self, context: AsyncBufferedContext) -> None:
        super().__init__(context)
        self._buffered = context

    identify = write(BufferedUsers.identify)
