"""Jobs: their status, deferred jobs, and dead letters."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, NoReturn

from rollbook import queries
from rollbook.errors import JobTimeout
from rollbook.resources.dead_letters import DeadLetters
from rollbook.resources.job_polling import is_final, sent_job, wait_for_status

if TYPE_CHECKING:
    from rollbook.models import DeferredJob, JobStatus, Page
    from rollbook.queries import ListedState
    from rollbook_shared import jobs


class Jobs(DeadLetters):
    """Read the status of jobs; list recent and deferred jobs; cancel deferred jobs; list, replay and drop dead letters.

    Needs the database. Every call raises

        InvalidRequest: no job can have such an id, or another argument is invalid; the problem names it.
        NotConfigured: there is no database URL, the extra `read` is not installed, the tables are missing
            (`rollbook migrate`), or the role in the URL may not do this.
        Unavailable: the database does not answer; trying again later may succeed.
    """

    def get(self, job_id: str) -> JobStatus:
        """Read the status of a job by its id. A job that no worker has seen yet is `queued`.

        If two different jobs were sent under one id, this is the status of the first;
        `JobHandle.status` distinguishes them.

        Raises:
            InvalidRequest, NotConfigured, Unavailable: see `Jobs`.
        """
        return self._read(queries.find_job_status(queries.SentJob(queries.checked_job_id(job_id))))

    def wait(self, job_id: str, timeout: float = 5.0) -> JobStatus:
        """Wait until the job is finished: `applied`, `rejected`, `cancelled` or `dead`.

        timeout: in seconds; 0 reads the status once.

        Raises:
            JobTimeout: (a TimeoutError) the job is not finished in time. It is not lost.
            InvalidRequest, NotConfigured, Unavailable: see `Jobs`.
        """
        return wait_for_status(lambda: self.get(job_id), is_final, queries.checked_timeout(timeout))

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
        user_id: only jobs that say something of this user, or of an id that was merged into it; by when they happened
            (a deferred or cancelled job: is due; a dead one: was asked for), not by when they were finished. Applied
            jobs are found by what they left: of identifies older than a day (`ROLLBOOK_ERASURE_DELAY_HOURS`) the first,
            the last and those whose values still stand, of marks those with a `user_id` that still stand, and of a bulk
            job the users that were not rejected. Other jobs are found by the users that they name. Of an erased user
            none is found.
        since: only jobs from this aware datetime on.
        until: only jobs up to this aware datetime.
        limit: 1 to 1,000 jobs.
        after: the `after` of the previous page, with the same filters.

        Raises:
            InvalidRequest, NotConfigured, Unavailable: see `Jobs`.
        """
        which, cursor = queries.checked_job_list(limit, after, state, kind, user_id, since, until)
        return self._read(queries.find_jobs(limit, which, cursor))

    def list_deferred(self, *, limit: int = 50, after: str | None = None) -> Page[DeferredJob]:
        """Read a page of the deferred jobs, the first due first.

        limit: 1 to 1,000 jobs.
        after: the `after` of the previous page.

        Raises:
            InvalidRequest, NotConfigured, Unavailable: see `Jobs`.
        """
        queries.check_page(limit, after)
        return self._read(queries.find_deferred_jobs(limit, queries.parse_cursor(after, queries.DEFERRED_JOBS)))

    def cancel(self, job_id: str, *, timeout: float = 1.0) -> bool:
        """Cancel a deferred job. True: it is cancelled and will never take effect, even if it is delivered again.

        False: it has taken effect already, or no worker has received such a job (`get` says which). A job that is
        still on its way to the workers is waited for. Cancelling again is safe: the result for a cancelled job is
        True. The id of a cancelled job stays taken.

        timeout: how long to wait for a job that is still on its way, in seconds.

        Raises:
            InvalidRequest, NotConfigured, Unavailable: see `Jobs`.
        """
        job_id, timeout = queries.checked_job_id(job_id), queries.checked_timeout(timeout)
        try:
            return (
                wait_for_status(lambda: self._read(queries.cancel_job(job_id)), is_final, timeout).state == "cancelled"
            )
        except JobTimeout:
            return False


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
        return self._jobs._status(sent_job(self.id, self._sent))

    def wait(self, timeout: float = 5.0) -> JobStatus:
        """Wait until the job is finished: `applied`, `rejected`, `cancelled` or `dead`.

        timeout: in seconds; 0 reads the status once.

        Raises:
            InvalidRequest: the timeout is no number of seconds.
            JobTimeout: (a TimeoutError) the job is not finished in time. It is not lost.
            NotConfigured, Unavailable: see `Jobs`.
        """
        job, timeout = sent_job(self.id, self._sent), queries.checked_timeout(timeout)
        return wait_for_status(lambda: self._jobs._status(job), is_final, timeout)

    if not TYPE_CHECKING:  # a type checker rejects the `await` by itself

        def __await__(self) -> NoReturn:
            raise TypeError(
                f"the job {self.id} was sent when the call returned, so do not await it; the client blocks: in a "
                "coroutine call it with `await asyncio.to_thread(...)`"
            )
