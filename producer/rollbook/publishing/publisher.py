"""What a publisher promises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from rollbook_shared import jobs

if TYPE_CHECKING:
    from rollbook_shared.jobs.celery_task import EncodedJob


class Publisher(Protocol):
    """Sends jobs towards the workers. Threads may share it, and so may children that are forked later."""

    def publish(self, job: jobs.Job) -> None:
        """Take the job. When this returns, the job is where this publisher promises to put it.

        Raises:
            NotSent: the job may not have arrived; sending it again under its id is safe.
        """

    def close(self) -> None:
        """Close the connections. Publishing again opens new ones."""


@runtime_checkable
class EncodedPublisher(Protocol):
    """A publisher that also takes jobs as text, so that what is encoded already need not be decoded first."""

    def publish_encoded(self, job: EncodedJob) -> None:
        """Take the job, as `Publisher.publish` does.

        Raises:
            NotSent: the job may not have arrived; sending it again under its id is safe.
        """


class AsyncPublisher(Protocol):
    """Sends jobs towards the workers, from coroutines. Event loops may share it, and so may children forked later."""

    async def publish(self, job: jobs.Job) -> None:
        """Take the job. When this returns, the job is where this publisher promises to put it. If it is cancelled, the
        job may be there or not.

        Raises:
            NotSent: the job may not have arrived; sending it again under its id is safe.
        """

    async def aclose(self) -> None:
        """Close the connections. Publishing again opens new ones."""


@runtime_checkable
class AsyncEncodedPublisher(Protocol):
    """An asynchronous publisher that also takes jobs as text."""

    async def publish_encoded(self, job: EncodedJob) -> None:
        """Take the job, as `AsyncPublisher.publish` does.

        Raises:
            NotSent: the job may not have arrived; sending it again under its id is safe.
        """


def publish_encoded(publisher: Publisher, job: EncodedJob) -> None:
    """Publish the job with a publisher of either kind.

    Raises:
        NotSent: the job may not have arrived; sending it again under its id is safe.
    """
    if isinstance(publisher, EncodedPublisher):
        publisher.publish_encoded(job)
    else:
        publisher.publish(jobs.decode(job.body))


async def async_publish_encoded(publisher: AsyncPublisher, job: EncodedJob) -> None:
    """Publish the job with an asynchronous publisher of either kind.

    Raises:
        NotSent: the job may not have arrived; sending it again under its id is safe.
    """
    if isinstance(publisher, AsyncEncodedPublisher):
        await publisher.publish_encoded(job)
    else:
        await publisher.publish(jobs.decode(job.body))
