"""What the resources of one asynchronous client share: the publisher, the database, the limits and the clock."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

from rollbook.at_fork import reset_after_fork
from rollbook.process_locks import ProcessLock, renew_locks
from rollbook.publishing import AsyncPublisher
from rollbook.resources.async_jobs import AsyncJobHandle, AsyncJobs
from rollbook.resources.context import BaseContext, Clock, naming_the_extra
from rollbook.resources.job_waits import JobWaits

if TYPE_CHECKING:
    from rollbook.queries import AsyncQueryRunner, Query
    from rollbook_shared import jobs
    from rollbook_shared.settings import Settings

T = TypeVar("T")


class AsyncClientContext(BaseContext[AsyncPublisher]):
    """Publishes the jobs of one client and runs its queries. It opens the database at the first query."""

    _lock = ProcessLock(lambda: threading.Lock())

    def __init__(
        self, settings: Settings, publisher: AsyncPublisher | None, clock: Clock, waits: JobWaits | None = None
    ) -> None:
        super().__init__(settings, publisher, clock)
        self._database: AsyncQueryRunner | None = None
        self.jobs = AsyncJobs(self.read, self.publisher, self.limits, self.now, waits or JobWaits(self.read))
        reset_after_fork(self)

    async def publish(self, job: jobs.Job) -> AsyncJobHandle:
        """Hand the job to the publisher.

        Raises:
            NotConfigured: there is no broker URL.
            NotSent: the publisher did not take the job.
        """
        await self.publisher().publish(job)
        return AsyncJobHandle(job.id, job.kind, self.jobs, job)

    def with_publisher(self, publisher: AsyncPublisher) -> AsyncClientContext:
        """A context that publishes with `publisher`. Limits, clock and database are those of this one."""
        return DerivedAsyncContext(self, publisher)

    async def read(self, query: Query[T]) -> T:
        """The result of the query, or what the query raises.

        Raises:
            NotConfigured: there is no database URL, the extra `read` is not installed, the tables are missing, or the
                role in the URL may not do this.
            Unavailable: the database does not answer.
        """
        return await self.database().run(query)

    def database(self) -> AsyncQueryRunner:
        """The database.

        Raises:
            NotConfigured: there is no database URL, or the extra `read` is not installed.
        """
        with self._lock:  # of threads that run a loop each
            if self._database is None:
                self._database = open_async_database(self._settings)
            return self._database

    def drop_inherited_connections(self) -> None:
        # publisher and database drop their own connections
        renew_locks(self)

    async def aclose(self) -> None:
        """Close all connections."""
        if self._publisher is not None:
            await self._publisher.aclose()
        if self._database is not None:
            await self._database.aclose()


class DerivedAsyncContext(AsyncClientContext):
    """A context with its own publisher and the database of another context. Closing it closes only the publisher."""

    def __init__(self, context: AsyncClientContext, publisher: AsyncPublisher) -> None:
        super().__init__(context._settings, publisher, context._clock, context.jobs.waits)
        self._context = context

    def database(self) -> AsyncQueryRunner:
        """The other context's database; raises what that does."""
        return self._context.database()


def open_async_database(settings: Settings) -> AsyncQueryRunner:
    """The database of the settings. It connects at the first query.

    Raises:
        NotConfigured: there is no database URL, or it is invalid, or the extra `read` is not installed.
    """
    url = settings.need_database_url()
    with naming_the_extra():
        # imported here: an application that only writes needs no psycopg
        from rollbook.async_database import AsyncDatabase
    return AsyncDatabase(url, settings.read_timeout, settings.pool, settings.schema)
