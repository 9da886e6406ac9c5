"""Waiting for jobs in coroutines. All waits of one client in one event loop share their reads.

A thousand coroutines that wait for a thousand jobs read with one statement, and not with a thousand. Each wait
has delays of its own, which grow as those of `JobHandle.wait` do. One task reads the status of all whose delay is over,
as long as there are any.
"""

from __future__ import annotations

import asyncio
import contextvars
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from rollbook import queries
from rollbook.errors import JobTimeout
from rollbook.event_loops import PerLoop
from rollbook.resources.job_polling import POLLING, IsOver

if TYPE_CHECKING:
    from rollbook.models import JobStatus
    from rollbook.queries import Query, SentJob

T = TypeVar("T")


class AsyncRead(Protocol):
    """Runs a query."""

    async def __call__(self, query: Query[T]) -> T:
        """The result of the query, or what the query raises."""


class JobWaits:
    """The waits of one client."""

    def __init__(self, read: AsyncRead) -> None:
        self._loops = PerLoop(lambda: _LoopWaits(read))

    async def wait(self, job: SentJob, is_over: IsOver, timeout: float) -> JobStatus:
        """Wait for a status of the job that is over.

        Raises:
            JobTimeout: there was none within `timeout` seconds.
            NotConfigured, Unavailable: the status could not be read.
        """
        return await self._loops.get().wait(job, is_over, timeout)


@dataclass(slots=True, eq=False)
class _Wait:
    job: SentJob
    is_over: IsOver
    end: float
    due: float
    """When to read the status next, by the loop's clock."""
    answer: asyncio.Future[JobStatus]
    attempts: int = 0

    def take(self, status: JobStatus, now: float) -> None:
        if self.answer.done():  # cancelled
            return
        if self.is_over(status):
            self.answer.set_result(status)
        elif now >= self.end:
            self.answer.set_exception(JobTimeout(status.id, status))
        else:
            self.due = min(now + POLLING.delay(self.attempts), self.end)
            self.attempts += 1


class _LoopWaits:
    """The waits in one event loop, and the task that reads for them."""

    def __init__(self, read: AsyncRead) -> None:
        self._read = read
        self._waits: set[_Wait] = set()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def wait(self, job: SentJob, is_over: IsOver, timeout: float) -> JobStatus:
        loop = asyncio.get_running_loop()
        now = loop.time()
        wait = _Wait(job, is_over, end=now + timeout, due=now, answer=loop.create_future())
        self._waits.add(wait)
        if self._task is None or self._task.done():
            # with a context of its own: what it does belongs to no single call
            self._task = loop.create_task(self._poll(loop), name="rollbook-waits", context=contextvars.Context())
        self._wake.set()
        try:
            return await wait.answer
        finally:
            self._waits.discard(wait)
            if not self._waits:
                self._wake.set()  # the task ends

    async def _poll(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            while self._waits:
                if due := [wait for wait in self._waits if wait.due <= loop.time()]:
                    await self._read_for(due, loop)
                else:
                    await self._pause(loop, min(wait.due for wait in self._waits))
        except asyncio.CancelledError:
            for wait in self._waits:
                wait.answer.cancel()
            raise

    async def _read_for(self, due: list[_Wait], loop: asyncio.AbstractEventLoop) -> None:
        try:
            statuses = await self._read(queries.find_job_statuses([wait.job for wait in due]))
        except Exception as error:  # of any kind: each of them raises it
            self._waits.difference_update(due)
            for wait in due:
                if not wait.answer.done():
                    wait.answer.set_exception(error)
            return
        now = loop.time()
        for wait, status in zip(due, statuses, strict=True):
            wait.take(status, now)
            if wait.answer.done():
                self._waits.discard(wait)

    async def _pause(self, loop: asyncio.AbstractEventLoop, until: float) -> None:
        """Wait until then, or until another wait begins."""
        self._wake.clear()
        timer = loop.call_at(until, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            timer.cancel()

    async def aclose(self) -> None:
        """Do nothing: the task ends with the last wait."""
