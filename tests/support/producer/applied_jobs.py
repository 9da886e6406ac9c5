"""A client whose jobs the real store applies when a test says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from rollbook import Rollbook
from rollbook.testing import RecordingPublisher, SentJobs
from rollbook_shared.domain.stamps import microseconds
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Job
from rollbook_worker.store import PostgresStore, ReceivedJob

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Applied:
    """A client whose jobs are applied by `applied.now()`."""

    def __init__(self, database_url: str) -> None:
        self.database_url = database_url
        self._publisher = RecordingPublisher()
        self._store = PostgresStore(database_url)
        self.rb = Rollbook(database_url=database_url, publisher=self._publisher, clock=lambda: microseconds(NOW))

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
        self._publisher.publish(job)

    def break_broker(self) -> None:
        """From now on nothing can be sent."""
        self._publisher.is_down = True

    def arrive(self, *messages: object) -> None:
        """Let messages arrive that the client would not send."""
        self._store.apply([ReceivedJob.of(message) for message in messages], now=microseconds(NOW))

    def release(self, at: datetime) -> int:
        """Apply the deferred jobs that are due by then; say how many."""
        return self._store.dispatcher.release_due(now=microseconds(at))

    @property
    def sent(self) -> SentJobs:
        """The jobs that were sent since the last time."""
        return self._publisher.sent
