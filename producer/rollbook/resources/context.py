"""What the resources of one client share: the publisher, the reader, the limits and the clock."""

from __future__ import annotations

import threading
from collections.abc import Callable

from rollbook.at_fork import reset_after_fork
from rollbook.publishing import Publisher
from rollbook.queries import Reader, open_reader
from rollbook.resources.jobs import JobHandle, Jobs
from rollbook_shared import jobs
from rollbook_shared.limits import Limits
from rollbook_shared.settings import Settings

Clock = Callable[[], int]
"""Returns the present time in microseconds since 1970."""


class ClientContext:
    """Publishes the jobs of one client, and opens its reader at the first read."""

    def __init__(self, settings: Settings, publisher: Publisher | None, clock: Clock) -> None:
        self._settings = settings
        self._publisher = publisher
        self._clock = clock
        self._lock = threading.Lock()
        self._reader: Reader | None = None
        self.jobs = Jobs(self.reader, self.publisher)
        reset_after_fork(self)

    @property
    def limits(self) -> Limits:
        """What the client accepts."""
        return self._settings.limits

    def now(self) -> int:
        """The present time in microseconds since 1970, by the client's clock."""
        return self._clock()

    def publish(self, job: jobs.Job) -> JobHandle:
        """Hand the job to the publisher.

        Raises:
            NotConfigured: there is no broker URL.
            NotSent: the publisher did not take the job.
        """
        self.publisher().publish(job)
        return JobHandle(self.jobs, job)

    def with_publisher(self, publisher: Publisher) -> ClientContext:
        """A context that publishes with `publisher`. Limits, clock and reader are those of this one."""
        return DerivedContext(self, publisher)

    def publisher(self) -> Publisher:
        """The publisher.

        Raises:
            NotConfigured: there is no broker URL.
        """
        if self._publisher is None:
            self._settings.need_broker_url()
            raise AssertionError("a client with a broker URL has a publisher")
        return self._publisher

    def reader(self) -> Reader:
        """The reader of the database.

        Raises:
            NotConfigured: there is no database URL, or the extra `read` is not installed.
        """
        with self._lock:
            if self._reader is None:
                settings = self._settings
                self._reader = open_reader(settings.need_database_url(), settings.merge_history, settings.read_timeout)
            return self._reader

    def close(self) -> None:
        """Close all connections."""
        if self._publisher is not None:
            self._publisher.close()
        with self._lock:
            if self._reader is not None:
                self._reader.close()

    def drop_inherited_connections(self) -> None:
        # publisher and reader drop their own; a lock that another thread held at the fork is never released
        self._lock = threading.Lock()


class DerivedContext(ClientContext):
    """A context with a publisher of its own and the reader of another context. Closing it closes only the publisher."""

    def __init__(self, context: ClientContext, publisher: Publisher) -> None:
        super().__init__(context._settings, publisher, context._clock)
        self._context = context

    def reader(self) -> Reader:
        """The other context's reader; raises what that does."""
        return self._context.reader()
