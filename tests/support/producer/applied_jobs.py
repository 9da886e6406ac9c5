"""A client whose jobs the real store applies when a test says so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta

import psycopg
from tests.support.databases import Databases
from tests.support.event_loops import LoopThread

from rollbook import AsyncRollbook, Rollbook
from rollbook.testing import AsyncRecordingPublisher, RecordingPublisher, SentJobs
from rollbook_shared.domain.stamps import microseconds
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Job
from rollbook_worker.store import PostgresStore, ReceivedJob

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def clock() -> int:
    return microseconds(NOW)


class Applied:
    """A client whose jobs are applied by `applied.now()`: a `Rollbook`, or with a loop an `AsyncRollbook` in it."""

    def __init__(
        self, database_url: str, loop: LoopThread | None = None, *, store: PostgresStore | None = None
    ) -> None:
        self.database_url = database_url
        self._store = store or PostgresStore(database_url)
        self._publisher: RecordingPublisher | AsyncRecordingPublisher
        if loop is None:
            self._publisher = RecordingPublisher()
            self.rb = Rollbook(database_url=database_url, publisher=self._publisher, clock=clock)
        else:
            self._publisher = AsyncRecordingPublisher()
            self.rb = loop.blocking(AsyncRollbook(database_url=database_url, publisher=self._publisher, clock=clock))

    def now(self) -> None:
        """Apply what was sent since the last time."""
        self.later(timedelta())

    def later(self, after: timedelta) -> None:
        """Apply it so long after `NOW`."""
        self._store.apply([ReceivedJob.of(encode(job)) for job in self._publisher.sent], now=microseconds(NOW + after))
        self._publisher.sent.clear()

    def take(self, job_id: str) -> Job:
        """Take back a job that was sent and not applied yet, to give it later."""
        (job,) = [job for job in self._publisher.sent if job.id == job_id]
        self._publisher.sent.remove(job)
        return job

    def give(self, job: Job) -> None:
        self._publisher.sent.append(job)

    def break_broker(self) -> None:
        """From now on nothing can be sent."""
        self._publisher.is_down = True

    def arrive(self, *messages: object) -> None:
        """Let messages arrive that the client would not send."""
        self._store.apply([ReceivedJob.of(message) for message in messages], now=microseconds(NOW))

    def release(self, at: datetime) -> int:
        """Apply the deferred jobs that are due by then; say how many."""
        return self._store.dispatcher.release_due(now=microseconds(at))

    def forget(self) -> None:
        """Forget what was sent, and find the broker again."""
        self._publisher.sent.clear()
        self._publisher.is_down = False

    @property
    def sent(self) -> SentJobs:
        """The jobs that were sent since the last time."""
        return self._publisher.sent


class AppliedClients:
    """The clients of a module, each lent to one test after the other, on one database that is emptied in between.

    A new connection costs ten times as much processor time as most of these tests do on one that is there.
    """

    def __init__(self, databases: Databases) -> None:
        self._databases = databases
        self._opened = ExitStack()
        self._clients: dict[str, Applied] = {}

    @contextmanager
    def lend(self, kind: str) -> Iterator[Applied]:
        """Lend the client of one of the `CLIENTS`."""
        if not self._clients:
            self._open_database()
        if kind not in self._clients:
            loop = self._opened.enter_context(LoopThread()) if kind == "AsyncRollbook" else None
            self._clients[kind] = Applied(self._url, loop, store=self._store)
            self._opened.enter_context(self._clients[kind].rb)
        applied = self._clients[kind]
        try:
            yield applied
        finally:
            applied.forget()
            if not self._empty():
                self.close()

    def close(self) -> None:
        self._clients.clear()
        self._opened.close()

    def _open_database(self) -> None:
        self._url = self._databases.lend()
        self._opened.callback(self._databases.take_back, self._url)
        self._store = PostgresStore(self._url)
        self._opened.callback(self._store.close)
        self._connection = self._opened.enter_context(psycopg.connect(self._url, autocommit=True))
        self._connection.execute("SET lock_timeout = '2min'")  # a test that fails may leave a transaction

    def _empty(self) -> bool:
        try:
            return self._databases.empty(self._connection)
        except psycopg.Error:
            return False
