"""Publishes jobs directly to the broker, from coroutines; otherwise as `rollbook.publishing.direct` does."""

from __future__ import annotations

from asyncio import CancelledError
from typing import TYPE_CHECKING

from rollbook.publishing.async_redis import AsyncBroker
from rollbook.publishing.celery_message import CeleryMessage
from rollbook.publishing.redis import BROKER_FAILURES
from rollbook_shared.errors import NotSent
from rollbook_shared.jobs.celery_task import EncodedJob
from rollbook_shared.reasons import safe_reason

if TYPE_CHECKING:
    from rollbook_shared.jobs.models import Job


class AsyncDirectPublisher:
    """Publishes each job as a Celery task named for its kind, with the job's id as the task's id."""

    def __init__(self, broker_url: str) -> None:
        """Prepare to connect; nothing is connected before the first job.

        Raises:
            NotConfigured: this is no URL of a Redis.
        """
        self._broker = AsyncBroker(broker_url)

    async def publish(self, job: Job) -> None:
        """Publish the job.

        Raises:
            NotSent: Redis did not take the job, or its answer was lost.
        """
        await self.publish_encoded(EncodedJob.of(job))

    async def publish_encoded(self, job: EncodedJob) -> None:
        """Publish the encoded job.

        Raises:
            NotSent: Redis did not take the job, or its answer was lost.
        """
        message = CeleryMessage.of(job)
        try:
            await self._broker.push(message.queue, [message.text])
        except BROKER_FAILURES as error:
            message.record_failure(error, safe_reason(error))
            raise NotSent(job.id, safe_reason(error)) from error
        except CancelledError as error:
            message.record_failure(error, "cancelled")
            raise
        message.record_sent()

    async def aclose(self) -> None:
        """Close the connections to the broker; publishing again opens new ones."""
        await self._broker.aclose()
