"""What the parts of the face share: where jobs are sent, who reads, which limits hold, what time it is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from rollbook.at_fork import reset_after_fork
from rollbook.commands import WriteOptions, build_job, check_size, resolve_timestamps, resolve_timing
from rollbook.publishing import Publisher
from rollbook.queries import Reader, open_reader
from rollbook.resources.jobs import JobHandle, Jobs
from rollbook_shared import jobs
from rollbook_shared.errors import InvalidRequest, Problem
from rollbook_shared.jobs.limits import Limits
from rollbook_shared.settings import Settings

J = TypeVar("J", bound=jobs.Job)
Clock = Callable[[], int]
"""Tells the time in microseconds since 1970."""


class ClientContext:
    """Makes jobs of calls, hands them to the publisher, and opens the reader when one is first needed."""

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
        """What the face accepts."""
        return self._settings.limits

    def send(
        self,
        model: type[jobs.Job],
        found: list[Problem],
        options: WriteOptions,
        renames: Mapping[str, str] | None = None,
        **fields: Any,
    ) -> JobHandle:
        """Build the job and send it.

        Raises:
            InvalidRequest, NotConfigured: as `make` and `publisher`.
            NotSent: the publisher did not take it.
        """
        job = self.make(model, found, options, renames, **fields)
        self.publisher().publish(job)
        return JobHandle(self.jobs, job)

    def make(
        self,
        model: type[J],
        found: list[Problem],
        options: WriteOptions,
        renames: Mapping[str, str] | None = None,
        **fields: Any,
    ) -> J:
        """Build the job, whose options are looked at here.

        found: what is known to be wrong with it already; raised together with what is found here.
        renames: from the job's fields to those of the call, for the problems.

        Raises:
            InvalidRequest: with everything that is wrong.
            TypeError: there is no such option.
        """
        if unknown := options.keys() - WriteOptions.__annotations__:
            # kinds of jobs are named as the calls that make them
            call = model.model_fields["kind"].default
            hint = "; traits go into the mapping" if model is jobs.Identify else ""
            raise TypeError(f"{call}() got an unexpected keyword argument {min(unknown)!r}{hint}")
        place = resolve_timing(found, self._clock(), self.limits.future, **options)
        job = build_job(model, found, renames=renames or {}, **place, **fields)
        if problems := check_size(job, self.limits):
            raise InvalidRequest(problems)
        return job

    def timestamps(self, found: list[Problem], timestamps: Iterable[object], options: WriteOptions) -> tuple[int, ...]:
        """When the users of a bulk job were told of, one by one; `options` gets the last of them as `occurred_at`."""
        return resolve_timestamps(found, self._clock(), self.limits.future, timestamps, options)

    def with_publisher(self, publisher: Publisher) -> ClientContext:
        """A desk whose jobs go to `publisher`; limits, clock and reader are this one's."""
        return DerivedContext(self, publisher)

    def publisher(self) -> Publisher:
        """Where the jobs go.

        Raises:
            NotConfigured: there is no broker URL.
        """
        if self._publisher is None:
            self._settings.need_broker_url()
            raise AssertionError("a broker URL always comes with a publisher")
        return self._publisher

    def reader(self) -> Reader:
        """The reader of the database.

        Raises:
            NotConfigured: there is no database URL, or the extra `read` is not installed.
        """
        with self._lock:
            if self._reader is None:
                settings = self._settings
                self._reader = open_reader(settings.need_database_url(), settings.history, settings.read_timeout)
            return self._reader

    def close(self) -> None:
        """Let go of all connections."""
        if self._publisher is not None:
            self._publisher.close()
        with self._lock:
            if self._reader is not None:
                self._reader.close()

    def drop_inherited_connections(self) -> None:
        # publisher and reader see to their own; a lock that another thread held at the fork is never given back
        self._lock = threading.Lock()


class DerivedContext(ClientContext):
    """A desk beside another one, with its reader. Closing it closes only what it sends through."""

    def __init__(self, context: ClientContext, publisher: Publisher) -> None:
        super().__init__(context._settings, publisher, context._clock)
        self._context = context

    def reader(self) -> Reader:
        """The other desk's; raises what that does."""
        return self._context.reader()
