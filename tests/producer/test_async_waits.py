"""Coroutines that wait for jobs share their reads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import TypeVar

import pytest
from tests.support.event_loops import in_loop
from tests.support.producer.applied_jobs import Applied, clock
from tests.support.waits import DEADLINE_SECONDS

from rollbook import AsyncRollbook, JobStatus, JobTimeout, Unavailable
from rollbook.async_database import AsyncDatabase
from rollbook.queries import Query, SentJob
from rollbook.resources.job_polling import is_final
from rollbook.resources.job_waits import JobWaits
from rollbook.testing import AsyncRecordingPublisher

T = TypeVar("T")


@pytest.fixture
def applied(fresh_database_url: str) -> Iterator[Applied]:
    applied = Applied(fresh_database_url)
    with applied.rb:
        yield applied


class CountedReads:
    """Reads from a database, and counts them."""

    def __init__(self, database_url: str) -> None:
        self.database = AsyncDatabase(database_url)
        self.count = 0
        self.failure: Exception | None = None
        self.waits = JobWaits(self)

    async def __call__(self, query: Query[T]) -> T:
        self.count += 1
        if self.failure is not None:
            raise self.failure
        return await self.database.run(query)

    def wait(self, job_id: str, timeout: float = DEADLINE_SECONDS) -> asyncio.Task[JobStatus]:
        return asyncio.create_task(self.waits.wait(SentJob(job_id), is_final, timeout))

    async def reach(self, count: int) -> None:
        while self.count < count:
            await asyncio.sleep(0.001)


@asynccontextmanager
async def counted(applied: Applied) -> AsyncIterator[CountedReads]:
    reads = CountedReads(applied.database_url)
    yield reads
    while asyncio.all_tasks() != {asyncio.current_task()}:  # the task that reads ends with the last wait
        await asyncio.sleep(0.001)
    await reads.database.aclose()


@in_loop
async def test_a_thousand_waits_share_their_reads(applied: Applied) -> None:
    jobs = [applied.rb.users.delete(f"u{number}") for number in range(1_000)]
    async with counted(applied) as reads:
        waits = [reads.wait(job.id) for job in jobs]
        await reads.reach(3)
        await asyncio.to_thread(applied.now)

        statuses = await asyncio.gather(*waits)

        assert [status.id for status in statuses] == [job.id for job in jobs]
        assert {status.state for status in statuses} == {"applied"}
        assert reads.count < 300


@in_loop
async def test_a_wait_that_begins_later_is_not_kept_by_those_before_it(applied: Applied) -> None:
    applied.rb.users.delete("u1", job_id="done")
    applied.now()
    async with counted(applied) as reads:
        earlier = reads.wait("never")
        await reads.reach(12)  # by now it is read ten times a second

        assert (await reads.wait("done")).state == "applied"
        earlier.cancel()
        await asyncio.wait([earlier])


@in_loop
async def test_a_cancelled_wait_does_not_disturb_the_others(applied: Applied) -> None:
    applied.rb.users.delete("u1", job_id="j1")
    async with counted(applied) as reads:
        cancelled, kept = reads.wait("j1"), reads.wait("j1")
        await reads.reach(2)
        cancelled.cancel()
        await asyncio.to_thread(applied.now)

        assert (await kept).state == "applied"
        assert cancelled.cancelled()


@in_loop
async def test_a_failed_read_is_raised_by_every_wait_and_the_next_one_reads_again(applied: Applied) -> None:
    applied.rb.users.delete("u1", job_id="j1")
    applied.now()
    async with counted(applied) as reads:
        reads.failure = Unavailable("away")
        waits = [reads.wait("j1"), reads.wait("j2")]

        failures = await asyncio.gather(*waits, return_exceptions=True)
        reads.failure = None

        assert [str(failure) for failure in failures] == ["away", "away"]
        assert (await reads.wait("j1")).state == "applied"


@in_loop
async def test_without_a_timeout_the_status_is_read_once(applied: Applied) -> None:
    async with counted(applied) as reads:
        with pytest.raises(JobTimeout) as failure:
            await reads.wait("j1", timeout=0)

        assert (failure.value.job_id, failure.value.status.state) == ("j1", "queued")
        assert reads.count == 1


@in_loop
async def test_two_jobs_of_one_id_are_distinguished_by_their_bodies(applied: Applied) -> None:
    publisher = AsyncRecordingPublisher()
    async with AsyncRollbook(database_url=applied.database_url, publisher=publisher, clock=clock) as rb:
        first = await rb.users.identify("u1", {"plan": "free"}, job_id="j1")
        second = await rb.users.identify("u1", {"plan": "pro"}, job_id="j1")
        for job in publisher.sent:
            applied.give(job)
        applied.now()

        statuses = await asyncio.gather(first.wait(), second.wait())

        assert [(status.state, status.code) for status in statuses] == [("applied", None), ("dead", "id_reused")]


@in_loop
async def test_the_clients_of_one_client_share_their_waits(applied: Applied) -> None:
    rb = AsyncRollbook(database_url=applied.database_url, publisher=AsyncRecordingPublisher())

    assert rb.with_publisher(AsyncRecordingPublisher()).jobs.waits is rb.jobs.waits
