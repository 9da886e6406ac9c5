"""Publishes jobs directly to the broker: when `publish` returns, Redis has the job.

A web request must not hang because Redis does. The timeouts of `redis.Broker` add up to a few seconds; after that
`NotSent` is raised, whether Redis is gone or frozen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Final

from rollbook.publishing.celery_message import CeleryMessage
from rollbook.publishing.redis import BROKER_FAILURES, Broker
from rollbook_shared.errors import NotSent, Unavailable
from rollbook_shared.jobs.celery_task import EncodedJob, queue_of
from rollbook_shared.reasons import safe_reason

if TYPE_CHECKING:
    from rollbook_shared.jobs.models import Job

MAX_BATCH_JOBS: Final = 500
"""Jobs in one round trip to Redis, when many are sent at once."""
MAX_BATCH_BYTES: Final = 1024 * 1024
"""Bytes in one round trip, so that it ends within its timeout over a slow network too."""


class DirectPublisher:
    """Publishes each job as a Celery task named for its kind, with the job's id as the task's id."""

    def __init__(self, broker_url: str) -> None:
        """Prepare to connect; nothing is connected before the first job.

        Raises:
            NotConfigured: this is no URL of a Redis.
        """
        self._broker = Broker(broker_url)

    def publish(self, job: Job) -> None:
        """Publish the job.

        Raises:
            NotSent: Redis did not take the job, or its answer was lost.
        """
        self.publish_encoded(EncodedJob.of(job))

    def publish_encoded(self, job: EncodedJob) -> None:
        """Publish the encoded job.

        Raises:
            NotSent: Redis did not take the job, or its answer was lost.
        """
        message = CeleryMessage.of(job)
        try:
            self._broker.push(message.queue, [message.text])
        except BROKER_FAILURES as error:
            message.record_failure(error, safe_reason(error))
            raise NotSent(job.id, safe_reason(error)) from error
        message.record_sent()

    def publish_many(self, jobs: Sequence[EncodedJob]) -> None:
        """Publish many jobs in few round trips.

        Raises:
            Unavailable: Redis did not take all of them; sending all again is safe.
        """
        for queue, messages in _batches(jobs):
            try:
                self._broker.push(queue, [message.text for message in messages])
            except BROKER_FAILURES as error:
                reason = safe_reason(error)
                for message in messages:
                    message.record_failure(error, reason)
                raise Unavailable(f"the broker did not take {len(jobs)} jobs ({reason})") from error
            for message in messages:
                message.record_sent()

    def close(self) -> None:
        """Close the connections to the broker; publishing again opens new ones."""
        self._broker.close()


def _batches(jobs: Sequence[EncodedJob]) -> Iterator[tuple[str, list[CeleryMessage]]]:
    """The messages by queue, in their order, in batches of one round trip each."""
    by_queue = sorted(jobs, key=lambda job: queue_of(job.kind))
    for queue, own in groupby(by_queue, key=lambda job: queue_of(job.kind)):
        messages: list[CeleryMessage] = []
        size = 0
        for job in own:
            messages.append(message := CeleryMessage.of(job))
            size += len(message.text)
            if len(messages) == MAX_BATCH_JOBS or size >= MAX_BATCH_BYTES:
                yield queue, messages
                messages, size = [], 0
        if messages:
            yield queue, messages
