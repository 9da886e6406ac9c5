"""Jobs that wait in memory for a commit: what `rollbook.sqlalchemy` and `rollbook.django` share."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from rollbook_shared.errors import NotSent
from rollbook_shared.jobs.models import Job

if TYPE_CHECKING:
    from rollbook.publishing import AsyncPublisher, Publisher

logger: Final = logging.getLogger("rollbook")

OnFailure = Callable[[Job, NotSent], None]
"""Called with a job whose transaction is committed and which the broker did not take; sending it again is safe."""


def log_failure(job: Job, error: NotSent) -> None:
    """Log which job was not sent. Raising would look like a failed commit, and the data are committed."""
    logger.error("a job of a committed transaction was not sent (%s %s)", job.kind, job.id)


def publish_committed(publisher: Publisher, job: Job, on_failure: OnFailure) -> None:
    """Publish a job whose transaction is committed. Raises only what `on_failure` raises."""
    try:
        publisher.publish(job)
    except NotSent as error:
        on_failure(job, error)


async def async_publish_committed(publisher: AsyncPublisher, job: Job, on_failure: OnFailure) -> None:
    """The same with an asynchronous publisher."""
    try:
        await publisher.publish(job)
    except NotSent as error:
        on_failure(job, error)
