"""The seam between making jobs and getting them out of the process."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from rollbook.publishing.encoded_job import EncodedJob
from rollbook_shared.jobs.codec import decode
from rollbook_shared.jobs.models import Job


class Publisher(Protocol):
    """Takes jobs towards the workers. Safe to use from many threads, and in children forked later."""

    def publish(self, job: Job) -> None:
        """Hand the job over. When this returns, the job is where the publisher promises to keep it.

        Raises:
            NotSent: the job may not have arrived; sending it again under its id is safe.
        """

    def close(self) -> None:
        """Let go of connections. Sending again opens them again."""


@runtime_checkable
class EncodedPublisher(Protocol):
    """A publisher that takes jobs as text, too: what has been encoded need not be read again."""

    def publish_encoded(self, job: EncodedJob) -> None:
        """Hand the job over, as `Publisher.publish` does.

        Raises:
            NotSent: the job may not have arrived; sending it again under its id is safe.
        """


def publish_encoded(publisher: Publisher, job: EncodedJob) -> None:
    """Hand the job over to a publisher of either kind.

    Raises:
        NotSent: the job may not have arrived; sending it again under its id is safe.
    """
    if isinstance(publisher, EncodedPublisher):
        publisher.publish_encoded(job)
    else:
        publisher.publish(decode(job.body))
