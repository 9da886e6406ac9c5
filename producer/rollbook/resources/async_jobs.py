"""Jobs for coroutines: their status, deferred jobs, and dead letters."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rollbook import queries
from rollbook.resources.async_dead_letters import AsyncDeadLetters
from rollbook.resources.awaited import read
from rollbook.resources.job_polling import is_final, polling_delays, sent_job
from rollbook.resources.jobs import Jobs

if TYPE_CHECKING:
    from rollbook.models import JobStatus
    from rollbook_shared import jobs


class AsyncJobs(AsyncDeadLetters):
    """Read the status of jobs; list recent and deferred jobs; cancel deferred jobs; list, replay and drop dead letters.

    The methods of `Jobs`, with the same arguments and errors, to be awaited. All coroutines that wait for jobs share
    their reads.
    """

    get = read(Jobs.get)
    list = read(Jobs.list)
    list_deferred = read(Jobs.list_deferred)

    async def wait(self, job_id: str, timeout: float = 5.0) -> JobStatus:
        """Wait until the job is finished: `applied`, `rejected`, `cancelled` or `dead`.

        timeout: in seconds; 0 reads the status once.

        Raises:
            JobTimeout: (a TimeoutError) the job is not finished in time. It is not lost.
            InvalidRequest, NotConfigured, Unavailable: see `Jobs`.
        """
        return await self.waits.wait(
            queries.SentJob(queries.checked_job_id(job_id)), is_final, queries.checked_timeout(timeout)
        )

    async def cancel(self, job_id: str, *, timeout: float = 1.0) -> bool:
        """Cancel a deferred job, as `Jobs.cancel` does; the arguments, the result and the errors are the same."""
        job_id, timeout = queries.checked_job_id(job_id), queries.checked_timeout(timeout)
        delays = polling_delays(time.monotonic() + timeout)
        while not (status := await self._read(queries.cancel_job(job_id))).is_final:
            if (seconds := next(delays)) is None:
                return False
            await asyncio.sleep(seconds)
        return status.state == "cancelled"


@dataclass(frozen=True, slots=True, eq=False)
class AsyncJobHandle:
    """A job that was sent. Keep its `id` to read its status elsewhere, with `await rb.jobs.get(id)`."""

    id: str
    """The job's id: the call's `job_id`, or a new one."""
    kind: str
    """The job's kind: `identify`, `bulk_identify`, `delete`, `merge`, `trigger` and so on."""
    _jobs: AsyncJobs = field(repr=False)
    _sent: jobs.Job | None = field(repr=False)
    """None: the job is made later, of what is buffered until then."""

    async def status(self) -> JobStatus:
        """Read the status of this very job, as `JobHandle.status` does.

        Raises:
            NotConfigured, Unavailable: see `Jobs`.
        """
        return await self._jobs._status(sent_job(self.id, self._sent))

    async def wait(self, timeout: float = 5.0) -> JobStatus:
        """Wait until the job is finished: `applied`, `rejected`, `cancelled` or `dead`.

        timeout: in seconds; 0 reads the status once.

        Raises:
            InvalidRequest: the timeout is no number of seconds.
            JobTimeout: (a TimeoutError) the job is not finished in time. It is not lost.
            NotConfigured, Unavailable: see `Jobs`.
        """
        return await self._jobs.waits.wait(sent_job(self.id, self._sent), is_final, queries.checked_timeout(timeout))
