"""Jobs: their status, deferred jobs, and dead letters."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol, TypeVar

from rollbook import commands, queries
from rollbook.errors import DeadLetterNotFound, JobTimeout
from rollbook.models import DeadLetter, DeferredJob, JobStatus, Page
from rollbook.publishing import Publisher
from rollbook.queries import ListedState, Query
from rollbook.queries.page_cursor import DEAD_LETTERS, DEFERRED_JOBS, parse_cursor
from rollbook.queries.validation import check_page, checked_job_id, checked_job_list, checked_timeout
from rollbook_shared import jobs
from rollbook_shared.backoff import Backoff
from rollbook_shared.errors import InvalidRequest, Problem
from rollbook_shared.jobs.codec import digest, encode, text_digest

# Polling, and not LISTEN: a NOTIFY takes a lock that all committing transactions of the database share, so the workers
# would queue on their hottest path, for the few jobs that an application waits for.
T = TypeVar("T")
POLLING: Final = Backoff(first=0.005, longest=0.1, factor=1.5, jitter=0)


class Read(Protocol):
    """Runs a query."""

    def __call__(self, query: Query[T]) -> T:
        """The result of the query, or what the query raises."""


class Jobs:
    """Read the status of jobs; list recent and deferred jobs; cancel deferred jobs; list, replay and drop dead letters.

    Needs the database. Every call raises

        InvalidRequest: no job can have such an id, or another argument is invalid; the problem names it.
        NotConfigured: there is no database URL, the extra `read` is not installed, the tables are missing
            (`rollbook migrate`), or the role in the URL may not do this.
        Unavailable: the database does not answer; trying again later may succeed.
    """

    def __init__(self, read: Read, publisher: Callable[[], Publisher]) -> None:
        self._read = read
        self._publisher = publisher

    def get(self, job_id: str) -> JobStatus:
        """Read the status of a job by its id. A job that no worker has seen yet is `queued`.

        If two different jobs were sent under one id, this is the status of the first;
        `JobHandle.status` distinguishes them.

        Raises:
            InvalidRequest, NotConfigured, Unavailable: see `Jobs`.
        """
        job_id = checked_job_id(job_id)
        return self._read(queries.find_job_status(job_id))

    def wait(self, job_id: str, timeout: float = 5.0) -> JobStatus:
        """Wait until the job is finished: `applied`, `rejected`, `cancelled` or `dead`.

        timeout: in seconds; 0 reads the status once.

        Raises:
            JobTimeout: (a TimeoutError) the job is not finished in time. It is not lost.
            InvalidRequest, NotConfigured, Unavailable: see `Jobs`.
        """
        return _wait(lambda: self.get(job_id), lambda status: status.is_final, checked_timeout(timeout))

    def list(
        self,
        *,
        state: ListedState | None = None,
        kind: str | None = None,
        user_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 50,
        after: str | None = None,
    ) -> Page[JobStatus]:
        """Read a page of the jobs that workers have received, the newest first: by when they were finished (a deferred
        job: stored).

        Finished jobs are kept for some days (`ROLLBOOK_JOB_RETENTION_DAYS`). A page that had to pass over 10,000 jobs
        which do not match ends there: it has fewer items than `limit`, perhaps none, and its `after` goes on.

        state: `applied`, `rejected`, `deferred`, `cancelled` or `dead`. Queued jobs are in Redis, and not listed.
        kind: `identify`, `trigger` and so on.
        user_id: only jobs that say something of this user, or of an id that was merged into it; by when they happened,
            not by when they were finished. They are found by what they left: of identifies older than a day
            (`ROLLBOOK_ERASURE_DELAY_HOURS`) the first, the last and those whose values still stand. Jobs that were
            rejected, are deferred or dead, and marks of messages, are not found. Of an erased user none is.
        since: only jobs from this aware datetime on.
        until: only jobs up to this aware datetime.
        limit: 1 to 1,000 jobs.
        after: the `after` of the previous page, with the same filters.

        Raises:
            InvalidRequest, NotConfigured, Unavailable: see `Jobs`.
        """
        which, cursor = checked_job_list(limit, after, state, kind, user_id, since, until)
        return self._read(queries.find_jobs(limit, which, cursor))

    def list_deferred(self, *, limit: int = 50, after: str | None = None) -> Page[DeferredJob]:
        """Read a page of the deferred jobs, the first due first.

        limit: 1 to 1,000 jobs.
        after: the `after` of the previous page.

        Raises:
            InvalidRequest, NotConfigured, Unavailable: see `Jobs`.
        """
        check_page(limit, after)
        return self._read(queries.find_deferred_jobs(limit, parse_cursor(after, DEFERRED_JOBS)))

    def cancel(self, job_id: str, *, timeout: float = 1.0) -> bool:
        """Cancel a deferred job. True: it is cancelled and will never take effect, even if it is delivered again.

        False: it has taken effect already, or no worker has received such a job (`get` says which). A job that is
        still on its way to the workers is waited for. Cancelling again is safe: the result for a cancelled job is
        True. The id of a cancelled job stays taken.

        timeout: how long to wait for a job that is still on its way, in seconds.

        Raises:
            InvalidRequest, NotConfigured, Unavailable: see `Jobs`.
        """
        job_id, timeout = checked_job_id(job_id), checked_timeout(timeout)

        def attempt() -> JobStatus:
            self._read(queries.cancel_job(job_id))
            return self._read(queries.find_job_status(job_id))

        try:
            return _wait(attempt, lambda status: status.is_final, timeout).state == "cancelled"
        except JobTimeout:
            return False

    def list_dead_letters(self, *, limit: int = 50, after: str | None = None) -> Page[DeadLetter]:
        """Read a page of the dead letters without their bodies, newest first.

        limit: 1 to 1,000 dead letters.
        after: the `after` of the previous page.

        Raises:
            InvalidRequest, NotConfigured, Unavailable: see `Jobs`.
        """
        check_page(limit, after)
        return self._read(queries.find_dead_letters(limit, parse_cursor(after, DEAD_LETTERS)))

    def get_dead_letter(self, dead_letter_id: str, *, key: str | None = None) -> DeadLetter:
        """Read a dead letter with its body, which may hold personal data.

        key: which dead letter, if several have this id.

        Raises:
            DeadLetterNotFound: there is no such dead letter.
            InvalidRequest: as for every call, and if several dead letters have this id and no key was given; the
                problem lists the keys.
            NotConfigured, Unavailable: see `Jobs`.
        """
        dead_letter_id = checked_job_id(dead_letter_id, "dead_letter_id")
        every = self._read(queries.find_dead_letters_of(dead_letter_id))
        found = [dead_letter for dead_letter in every if key in (None, dead_letter.key)]
        if not found:
            raise DeadLetterNotFound(dead_letter_id)
        if len(found) > 1:
            keys = ", ".join(dead_letter.key for dead_letter in found)
            raise InvalidRequest([Problem("key", f"{len(found)} dead letters have this id; give one of {keys}")])
        return found[0]

    def replay(
        self,
        dead_letter_id: str,
        *,
        job_id: str | None = None,
        body: str | Mapping[str, Any] | None = None,
        key: str | None = None,
        timeout: float = 5.0,
    ) -> JobStatus:
        """Send the job of a dead letter again, wait until it is finished, and then drop the dead letter.

        Fix the cause first. If a step fails, the dead letter is still there and replaying it again is safe. A job that
        fails again is a dead letter again, with the new reason, and the returned status says so. The job keeps its
        time: it counts as of when it happened.

        job_id: another id for the job; a dead letter with code `id_reused` needs one.
        body: the corrected job, as JSON text or as a mapping, with its time in microseconds since 1970:
            `{"id": "billing-1017", "occurred_at": 1767225600000000, "kind": "delete", "user_id": "ann"}`. By default
            the job as it arrived (see `get_dead_letter`).
        key: which dead letter, if several have this id.
        timeout: in seconds.

        Raises:
            DeadLetterNotFound: there is no such dead letter.
            InvalidRequest: the job would only fail again, or as for every call. Nothing was sent.
            NotConfigured: there is no broker URL, or as for every call.
            NotSent: the broker may not have the job; the dead letter is still there.
            JobTimeout: (a TimeoutError) the job is not finished in time; the dead letter is still there.
            Unavailable: the database does not answer; replaying again is safe.
        """
        timeout = checked_timeout(timeout)
        dead_letter = self.get_dead_letter(dead_letter_id, key=key)
        job = commands.replay(dead_letter, job_id=None if job_id is None else checked_job_id(job_id), body=body)
        handle = JobHandle(job.id, job.kind, self, job)
        before = handle.status()
        self._publisher().publish(job)

        def is_over(status: JobStatus) -> bool:
            died_before = status.state == "dead" and status.finished_at == before.finished_at
            return status.state != "queued" and not died_before

        status = _wait(handle.status, is_over, timeout)
        # as it was read: if this very job has failed again, its dead letter stays
        self._read(queries.drop_dead_letter(dead_letter))
        return status

    def drop(self, dead_letter_id: str, *, key: str | None = None) -> bool:
        """Delete a dead letter for good; False if there is none.

        key: which dead letter, if several have this id.

        Raises:
            InvalidRequest: as for every call, and if several dead letters have this id and no key was given; the
                problem lists the keys.
            NotConfigured, Unavailable: see `Jobs`.
        """
        try:
            return self._read(queries.drop_dead_letter(self.get_dead_letter(dead_letter_id, key=key)))
        except DeadLetterNotFound:
            return False

    def _status(self, job_id: str, kind: str, digests: Collection[bytes]) -> JobStatus:
        return self._read(queries.find_job_status(job_id, kind, digests))


@dataclass(frozen=True, slots=True, eq=False)
class JobHandle:
    """A job that was sent. Keep its `id` to read its status elsewhere, with `rb.jobs.get(id)`."""

    id: str
    """The job's id: the call's `job_id`, or a new one."""
    kind: str
    """The job's kind: `identify`, `bulk_identify`, `delete`, `merge`, `trigger` and so on."""
    _jobs: Jobs = field(repr=False)
    _sent: jobs.Job | None = field(repr=False)
    """None: the job is made later, of what is buffered until then."""

    def status(self) -> JobStatus:
        """Read the status of this very job: `dead` with code `id_reused` if another job has its id.

        The handle of a buffered identify gives the status of the bulk job, which is `queued` until it is sent as well.

        Raises:
            NotConfigured, Unavailable: see `Jobs`.
        """
        if self._sent is None:
            return self._jobs.get(self.id)
        # only here: most callers never ask, and this takes a fifth of the time that sending takes
        text = encode(self._sent)
        return self._jobs._status(self.id, self.kind, (digest(text), text_digest(text)))

    def wait(self, timeout: float = 5.0) -> JobStatus:
        """Wait until the job is finished: `applied`, `rejected`, `cancelled` or `dead`.

        timeout: in seconds; 0 reads the status once.

        Raises:
            InvalidRequest: the timeout is no number of seconds.
            JobTimeout: (a TimeoutError) the job is not finished in time. It is not lost.
            NotConfigured, Unavailable: see `Jobs`.
        """
        return _wait(self.status, lambda status: status.is_final, checked_timeout(timeout))

    if not TYPE_CHECKING:  # a type checker rejects the `await` by itself

        def __await__(self) -> NoReturn:
            raise TypeError(
                f"the job {self.id} was sent when the call returned, so do not await it; the client blocks: in a "
                "coroutine call it with `await asyncio.to_thread(...)`"
            )


def _wait(read: Callable[[], JobStatus], is_over: Callable[[JobStatus], bool], timeout: float) -> JobStatus:
    """Read the status again and again, after growing delays, until it is over."""
    end = time.monotonic() + timeout
    attempts = count()
    while not is_over(status := read()):
        if (left := end - time.monotonic()) <= 0:
            raise JobTimeout(status.id, status)
        time.sleep(min(POLLING.delay(next(attempts)), left))
    return status
