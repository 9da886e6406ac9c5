"""What the resources of one client share: the publisher, the database, the limits and the clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Generic, TypeVar

from rollbook.at_fork import reset_after_fork
from rollbook.process_locks import ProcessLock, renew_locks
from rollbook.publishing import Publisher
from rollbook.resources.jobs import JobHandle, Jobs
from rollbook_shared.errors import NotConfigured

if TYPE_CHECKING:
    from rollbook.queries import Query, QueryRunner
    from rollbook_shared import jobs
    from rollbook_shared.limits import Limits
    from rollbook_shared.registry import Registry, RegistryFile
    from rollbook_shared.settings import Settings

T = TypeVar("T")
P = TypeVar("P")
Clock = Callable[[], int]
"""Returns the present time in microseconds since 1970."""


def system_clock() -> int:
    """The present time in microseconds since 1970, by the clock of this machine."""
    return time.time_ns() // 1_000


class BaseContext(Generic[P]):
    """The settings, the publisher and the clock of one client."""

    def __init__(self, settings: Settings, publisher: P | None, clock: Clock) -> None:
        self._settings = settings
        self._publisher = publisher
        self._clock = clock
        self._registry: RegistryFile | None = None

    @property
    def limits(self) -> Limits:
        """What the client accepts."""
        return self._settings.limits

    @property
    def merge_history(self) -> timedelta:
        """How much history a merge transfers."""
        return self._settings.merge_history

    @property
    def schema(self) -> str:
        """The schema of Postgres that the Rollbook is in."""
        return self._settings.schema

    @property
    def broker_url(self) -> str | None:
        """The broker's URL, if there is one."""
        return self._settings.broker_url

    def registry(self) -> Registry:
        """The channels and workflows, as the file of the registry has them now.

        Raises:
            NotConfigured: there is no such file, or it cannot be read or is invalid.
        """
        if self._registry is None:
            if self._settings.registry is None:
                raise NotConfigured("ROLLBOOK_REGISTRY is not set; set it to the TOML file with the channels")
            # imported here: only deliveries need it
            from rollbook_shared.registry import RegistryFile

            self._registry = RegistryFile(self._settings.registry)
        return self._registry.latest()

    def now(self) -> int:
        """The present time in microseconds since 1970, by the client's clock."""
        return self._clock()

    def publisher(self) -> P:
        """The publisher.

        Raises:
            NotConfigured: there is no broker URL.
        """
        if self._publisher is None:
            self._settings.need_broker_url()
            raise AssertionError("a client with a broker URL has a publisher")
        return self._publisher


class ClientContext(BaseContext[Publisher]):
    """Publishes the jobs of one client and runs its queries. It opens the database at the first query."""

    _lock = ProcessLock(lambda: threading.Lock())

    def __init__(self, settings: Settings, publisher: Publisher | None, clock: Clock) -> None:
        super().__init__(settings, publisher, clock)
        self._database: QueryRunner | None = None
        self.jobs = Jobs(self.read, self.publisher, self.limits, self.now)
        reset_after_fork(self)

    def publish(self, job: jobs.Job) -> JobHandle:
        """Hand the job to the publisher.

        Raises:
            NotConfigured: there is no broker URL.
            NotSent: the publisher did not take the job.
        """
        self.publisher().publish(job)
        return JobHandle(job.id, job.kind, self.jobs, job)

    def with_publisher(self, publisher: Publisher) -> ClientContext:
        """A context that publishes with `publisher`. Limits, clock and database are those of this one."""
        return DerivedContext(self, publisher)

    def read(self, query: Query[T]) -> T:
        """The result of the query, or what the query raises.

        Raises:
            NotConfigured: there is no database URL, the extra `read` is not installed, the tables are missing, or the
                role in the URL may not do this.
            Unavailable: the database does not answer.
        """
        return self.database().run(query)

    def database(self) -> QueryRunner:
        """The database.

        Raises:
            NotConfigured: there is no database URL, or the extra `read` is not installed.
        """
        with self._lock:
            if self._database is None:
                self._database = open_database(self._settings)
            return self._database

    def close(self) -> None:
        """Close all connections."""
        if self._publisher is not None:
            self._publisher.close()
        with self._lock:
            if self._database is not None:
                self._database.close()

    def drop_inherited_connections(self) -> None:
        # publisher and database drop their own connections
        renew_locks(self)


class DerivedContext(ClientContext):
    """A context with its own publisher and the database of another context. Closing it closes only the publisher."""

    def __init__(self, context: ClientContext, publisher: Publisher) -> None:
        super().__init__(context._settings, publisher, context._clock)
        self._context = context

    def database(self) -> QueryRunner:
        """The other context's database; raises what that does."""
        return self._context.database()


def open_database(settings: Settings) -> QueryRunner:
    """The database of the settings. It connects at the first query.

    Raises:
        NotConfigured: there is no database URL, or it is invalid, or the extra `read` is not installed.
    """
    url = settings.need_database_url()
    with naming_the_extra():
        # imported here: an application that only writes needs no psycopg
        from rollbook.database import Database
    return Database(url, settings.read_timeout, settings.pool, settings.schema)


@contextmanager
def naming_the_extra() -> Iterator[None]:
    """Say of a missing psycopg which extra brings it.

    Raises:
        NotConfigured: it is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "psycopg":
            raise
        from rollbook_shared.install_hint import missing_extra

        raise missing_extra("reading", "read") from error
