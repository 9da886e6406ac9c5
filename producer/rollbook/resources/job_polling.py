"""Waits for jobs by reading their status again and again.

Polling, and not LISTEN: a NOTIFY takes a lock that all committing transactions of the database share, so the workers
would queue on their hottest path, for the few jobs that an application waits for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import TYPE_CHECKING, Final, TypeVar

from rollbook import queries
from rollbook.errors import JobTimeout
from rollbook_shared import jobs
from rollbook_shared.backoff import Backoff

if TYPE_CHECKING:
    from rollbook.models import JobStatus
    from rollbook.queries import SentJob

T = TypeVar("T")
POLLING: Final = Backoff(first=0.005, longest=0.1, factor=1.5, jitter=0)
IsOver = Callable[["JobStatus"], bool]


def sent_job(job_id: str, job: jobs.Job | None) -> SentJob:
    """What to ask for the status of the job; None: it is made later.

    Made when it is asked for: most callers never ask, and this takes a fifth of the time that sending takes.
    """
    if job is None:
        return queries.SentJob(job_id)
    text = jobs.encode(job)
    return queries.SentJob(job_id, job.kind, frozenset((jobs.digest(text), jobs.text_digest(text))))


def is_final(status: JobStatus) -> bool:
    """Whether the job is finished."""
    return status.is_final


def replayed_since(before: JobStatus) -> IsOver:
    """Whether the workers have received a job that was sent again after this status of it was read."""

    def is_over(status: JobStatus) -> bool:
        died_before = status.state == "dead" and status.finished_at == before.finished_at
        return status.state != "queued" and not died_before

    return is_over


def wait_for_status(read: Callable[[], JobStatus], is_over: IsOver, timeout: float) -> JobStatus:
    """Read the status until it is over.

    Raises:
        JobTimeout: it is not over within `timeout` seconds.
    """
    for status, seconds in _attempts(read, timeout):
        if is_over(status):
            return status
        if seconds is None:
            raise JobTimeout(status.id, status)
        time.sleep(seconds)
    raise AssertionError("the attempts end with a timeout")


def wait_for_statuses(
    read: Callable[[], list[JobStatus]], are_over: Sequence[IsOver], timeout: float
) -> list[JobStatus]:
    """Read the statuses until all are over, or the time is: each as it was read last."""
    statuses: list[JobStatus] = []
    for statuses, seconds in _attempts(read, timeout):
        if seconds is None or all(is_over(status) for is_over, status in zip(are_over, statuses, strict=True)):
            break
        time.sleep(seconds)
    return statuses


def polling_delays(end: float) -> Iterator[float | None]:
    """How long to sleep after each read, in seconds; None: `end`, by the monotonic clock, is over."""
    for attempt in count():
        left = end - time.monotonic()
        yield None if left <= 0 else min(POLLING.delay(attempt), left)


def _attempts(read: Callable[[], T], timeout: float) -> Iterator[tuple[T, float | None]]:
    delays = polling_delays(time.monotonic() + timeout)
    while True:
        yield read(), next(delays)
