"""The asynchronous client: the object that coroutines call."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rollbook.client import check_buffer, client_arguments, client_settings
from rollbook.publishing import AsyncPublisher, async_publish_encoded
from rollbook.publishing.async_buffered import AsyncBuffer
from rollbook.resources.async_buffered import AsyncBufferedContext, AsyncBufferedUsers
from rollbook.resources.async_context import AsyncClientContext
from rollbook.resources.async_deliveries import AsyncDeliveries
from rollbook.resources.async_resources import (
    AsyncActivities,
    AsyncFeeds,
    AsyncMeasurements,
    AsyncMessages,
    AsyncUsers,
    AsyncWorkflows,
)
from rollbook.resources.context import Clock, system_clock
from rollbook_shared.database.schema import DEFAULT_SCHEMA

if TYPE_CHECKING:
    from rollbook.resources.async_jobs import AsyncJobs
    from rollbook_shared.limits import Limits, PoolLimits


class AsyncRollbook:
    """The client of asyncio: the calls of `Rollbook`, with the same arguments, results and errors, to be awaited.

        rb = AsyncRollbook.from_env()
        job = await rb.users.identify("ann", {"email": "ann@example.com", "plan": "pro"})
        await job.wait()
        (await rb.users.get("ann")).properties  # {"plan": "pro"}

    Create one for each process. Tasks, event loops and forked children may share it; each loop has connections of its
    own. It connects at the first call that needs a connection, and needs no thread. A call that is cancelled may have
    sent its job; sending it again with its `job_id` is safe.
    """

    users: AsyncUsers
    """Create, update, delete, merge and read users, their preferences and their channel data."""
    workflows: AsyncWorkflows
    """Trigger workflows."""
    feeds: AsyncFeeds
    """Read feeds."""
    messages: AsyncMessages
    """Read messages of every channel, and record engagement."""
    activities: AsyncActivities
    """Read which triggers concerned a user, and which the user caused."""
    deliveries: AsyncDeliveries
    """Claim the messages that are to leave, report what became of them, and look at them."""
    jobs: AsyncJobs
    """Read the status of jobs; list and cancel deferred jobs; list, replay and drop dead letters."""
    measurements: AsyncMeasurements
    """Read what waited and what was done in the last hour."""

    def __init__(
        self,
        *,
        broker_url: str | None = None,
        database_url: str | None = None,
        schema: str = DEFAULT_SCHEMA,
        limits: Limits | None = None,
        merge_history: timedelta | None = None,
        read_timeout: timedelta | None = None,
        pool: PoolLimits | None = None,
        registry: str | None = None,
        publisher: AsyncPublisher | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Create a client. It connects to nothing yet, and needs no running loop. The arguments are as of `Rollbook`.

        Raises:
            NotConfigured: as of `Rollbook`.
        """
        settings = client_settings(
            broker_url, database_url, schema, limits, merge_history, read_timeout, pool, registry
        )
        self._bind(AsyncClientContext(settings, publisher or _direct(broker_url), clock or system_clock))

    def _bind(self, context: AsyncClientContext) -> None:
        self._context = context
        self.users = AsyncUsers(context)
        self.workflows = AsyncWorkflows(context)
        self.feeds = AsyncFeeds(context)
        self.messages = AsyncMessages(context)
        self.activities = AsyncActivities(context)
        self.deliveries = AsyncDeliveries(context)
        self.jobs = context.jobs
        self.measurements = AsyncMeasurements(context)

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Self:
        """Create a client from the environment, as `Rollbook.from_env` does.

        Raises:
            NotConfigured: a setting has an invalid value, or the broker's URL is invalid.
        """
        return cls(**client_arguments(env))

    @property
    def publisher(self) -> AsyncPublisher:
        """What sends the jobs of this client, for a publisher that wraps it (see `with_publisher`).

        Raises:
            NotConfigured: there is no broker URL.
        """
        return self._context.publisher()

    def with_publisher(self, publisher: AsyncPublisher) -> AsyncRollbook:
        """A client that sends its jobs with `publisher`. It reads with the connections of this client, and closes none
        of them.

        publisher: any object that keeps the promises of `rollbook.publishing.AsyncPublisher`.
        """
        other = AsyncRollbook.__new__(AsyncRollbook)
        other._bind(self._context.with_publisher(publisher))
        return other

    def outbox(self, transaction: Any) -> AsyncRollbook:
        """A client that writes its jobs in a transaction of your database, as of `Rollbook.outbox`:

            async with session.begin():
                await rb.outbox(session).users.identify("ann", {"plan": "pro"})

        transaction: an `AsyncSession` or `AsyncConnection` of SQLAlchemy, a connection of asyncpg, or an
            `AsyncConnection` of psycopg.

        Raises:
            TypeError: this is no transaction that can insert rows and be awaited.
        """
        from rollbook.publishing.async_outbox import AsyncOutboxPublisher

        return self.with_publisher(AsyncOutboxPublisher(transaction, self._context.schema))

    def buffered(
        self, *, max_users: int = 100, max_seconds: float = 1.0, max_waiting: int = 10_000, block_seconds: float = 1.0
    ) -> AsyncBufferedRollbook:
        """A client whose `users.identify` does not wait for the broker, as of `Rollbook.buffered`, with the same
        arguments. A task sends what is gathered.

        Create one for each event loop, and `aclose()` it at the end (an `async with` block does).

        Raises:
            NotConfigured: there is no broker URL.
            ValueError: a number is out of its bounds.
        """
        return AsyncBufferedRollbook(
            self._context,
            max_users=max_users,
            max_seconds=max_seconds,
            max_waiting=max_waiting,
            block_seconds=block_seconds,
        )

    async def aclose(self) -> None:
        """Close all connections. A later call opens them again."""
        await self._context.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class AsyncBufferedRollbook(AsyncRollbook):
    """A client whose `users.identify` returns before the broker has the job. All other writes are sent at once.

    `AsyncRollbook.buffered` creates it. Its `users.identify` raises `BufferFull` in place of `NotSent`, and
    RuntimeError in another event loop than the one whose users wait. `aclose` flushes, and raises what `flush` raises;
    the connections belong to the client that created it. At the end of `asyncio.run` it flushes too.
    """

    def __init__(
        self,
        context: AsyncClientContext,
        *,
        max_users: int,
        max_seconds: float,
        max_waiting: int,
        block_seconds: float,
    ) -> None:
        check_buffer(context.limits, max_users, max_waiting, max_seconds, block_seconds)
        self._buffer = AsyncBuffer(
            partial(async_publish_encoded, context.publisher()),
            max_users=max_users,
            max_seconds=max_seconds,
            max_waiting=max_waiting,
            block_seconds=block_seconds,
        )
        buffered = AsyncBufferedContext(context, self._buffer)
        self._bind(buffered)
        self.users = AsyncBufferedUsers(buffered)

    async def flush(self) -> None:
        """Send everything that was buffered before, and return when the broker has it.

        Raises:
            NotSent: the broker did not take it. It stays in the buffer, which will send it again.
        """
        await self._buffer.flush()


def _direct(broker_url: str | None) -> AsyncPublisher | None:
    if not broker_url:
        return None
    # imported here: an application that only reads does without what it imports
    from rollbook.publishing.async_direct import AsyncDirectPublisher

    return AsyncDirectPublisher(broker_url)
