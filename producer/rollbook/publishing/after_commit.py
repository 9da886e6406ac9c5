"""Jobs that wait for a commit, in memory: what SQLAlchemy sessions and Django's transactions have in common."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from rollbook.publishing import Publisher
from rollbook_shared.errors import NotSent
from rollbook_shared.jobs.models import Job

logger: Final = logging.getLogger("rollbook")

OnFailure = Callable[[Job, NotSent], None]
"""Is told of a job whose transaction is committed and which the broker did not take; sending it again is safe."""


def log_failure(job: Job, error: NotSent) -> None:
    """Say which job it was. Not raised: who commits would take it for a failed commit, and the data are in."""
    logger.error("a job of a committed transaction was not sent (%s %s)", job.kind, job.id)


def send_committed(publisher: Publisher, job: Job, on_failure: OnFailure) -> None:
    """Send a job whose transaction is committed; raises only what `on_failure` does."""
    try:
        publisher.publish(job)
    except NotSent as error:
        on_failure(job, error)
