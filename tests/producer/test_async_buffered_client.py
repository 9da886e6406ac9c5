"""Buffered identifies of coroutines are sent as few jobs, are never lost silently, and belong to one event loop."""

from __future__ import annotations

import asyncio
import multiprocessing
import subprocess
import sys

import pytest
from tests.support.brokers import connect_to_broker
from tests.support.event_loops import LoopThread, in_loop
from tests.support.waits import DEADLINE_SECONDS

from rollbook import AsyncRollbook, NotSent
from rollbook.publishing.buffered import BufferFull
from rollbook.testing import AsyncRecordingPublisher, AsyncRecordingRollbook, async_recording
from rollbook_shared.jobs.models import BulkIdentify, Delete, Identify, Job, UserUpdate

NEVER = 3_600.0


class Slow(AsyncRecordingPublisher):
    """A broker that can be closed and opened, and signals that a job arrives."""

    def __init__(self) -> None:
        super().__init__()
        self.open = asyncio.Event()
        self.open.set()
        self.arrived = asyncio.Event()

    async def publish(self, job: Job) -> None:
        self.arrived.set()
        await self.open.wait()
        await super().publish(job)


def users_of(job: Job) -> list[str]:
    assert isinstance(job, BulkIdentify)
    return [user.id for user in job.users if isinstance(user, UserUpdate)]


@in_loop
async def test_users_are_sent_together_when_so_many_are_gathered() -> None:
    rb = async_recording()
    async with rb.buffered(max_users=3, max_seconds=NEVER) as buffered:
        handles = [await buffered.users.identify(f"u{number}") for number in range(7)]

    assert [users_of(job) for job in rb.sent] == [["u0", "u1", "u2"], ["u3", "u4", "u5"], ["u6"]]
    assert [handle.id for handle in handles] == [job.id for job in rb.sent for _ in users_of(job)]


@in_loop
async def test_users_are_sent_when_the_first_has_waited_so_long() -> None:
    publisher = Slow()
    buffered = AsyncRollbook(publisher=publisher).buffered(max_seconds=0.01)
    await buffered.users.identify("u1")

    await publisher.arrived.wait()
    while not publisher.sent:
        await asyncio.sleep(0)

    assert users_of(publisher.sent[0]) == ["u1"]


@in_loop
async def test_a_buffer_without_users_has_no_task() -> None:
    rb = async_recording()
    buffered = rb.buffered(max_users=2, max_seconds=NEVER)
    await buffered.users.identify("u1")
    await buffered.users.identify("u2")

    while asyncio.all_tasks() != {asyncio.current_task()}:
        await asyncio.sleep(0)

    assert [users_of(job) for job in rb.sent] == [["u1", "u2"]]
    await buffered.users.identify("u3")
    await buffered.aclose()
    assert [users_of(job) for job in rb.sent] == [["u1", "u2"], ["u3"]]


@in_loop
async def test_an_identify_with_options_and_every_other_write_is_sent_at_once() -> None:
    rb = async_recording()
    async with rb.buffered(max_seconds=NEVER) as buffered:
        await buffered.users.identify("u1", {"plan": "pro"}, job_id="j1")
        await buffered.users.delete("u2")

        assert [type(job) for job in rb.sent] == [Identify, Delete]


@in_loop
async def test_a_full_buffer_makes_callers_wait_for_room() -> None:
    publisher = Slow()
    publisher.open.clear()
    buffered = AsyncRollbook(publisher=publisher).buffered(max_users=1, max_waiting=2, block_seconds=NEVER)
    calls = [asyncio.create_task(buffered.users.identify(f"u{number}")) for number in range(5)]
    await publisher.arrived.wait()
    assert sum(call.done() for call in calls) == 2

    publisher.open.set()
    await asyncio.gather(*calls)
    await buffered.aclose()

    assert sorted(user for job in publisher.sent for user in users_of(job)) == [f"u{number}" for number in range(5)]


@in_loop
async def test_a_caller_gets_an_error_when_there_is_no_room_in_time() -> None:
    rb = async_recording()
    rb.publisher.is_down = True
    buffered = rb.buffered(max_waiting=2, max_seconds=NEVER, block_seconds=0)
    await buffered.users.identify("u1")
    await buffered.users.identify("u2")

    with pytest.raises(BufferFull) as failure:
        await buffered.users.identify("u3")

    assert failure.value.waiting == 2
    rb.publisher.is_down = False
    await buffered.aclose()
    assert [users_of(job) for job in rb.sent] == [["u1", "u2"]]


@in_loop
async def test_what_the_broker_does_not_take_is_kept_with_its_id() -> None:
    rb = async_recording()
    rb.publisher.is_down = True
    buffered = rb.buffered(max_seconds=NEVER)
    handle = await buffered.users.identify("u1")

    with pytest.raises(NotSent):
        await buffered.flush()
    with pytest.raises(NotSent):
        await buffered.aclose()
    rb.publisher.is_down = False
    await buffered.flush()

    assert [(job.id, users_of(job)) for job in rb.sent] == [(handle.id, ["u1"])]


@in_loop
async def test_the_task_sends_again_what_the_broker_did_not_take(caplog: pytest.LogCaptureFixture) -> None:
    rb = async_recording()
    rb.publisher.is_down = True
    buffered = rb.buffered(max_seconds=0.0)
    await buffered.users.identify("u1")
    while not caplog.records:
        await asyncio.sleep(0.001)

    rb.publisher.is_down = False
    while not rb.sent:
        await asyncio.sleep(0.001)

    assert [record.getMessage().partition(" (")[0] for record in caplog.records] == ["buffered users are kept"]
    await buffered.aclose()


def test_the_end_of_asyncio_run_sends_what_is_gathered() -> None:
    rb = async_recording()
    buffered = rb.buffered(max_seconds=NEVER)

    asyncio.run(identify(buffered, "u1"))

    assert [users_of(job) for job in rb.sent] == [["u1"]]


async def identify(rb: AsyncRollbook, user_id: str) -> None:
    await rb.users.identify(user_id)


def test_users_that_a_closed_loop_could_not_send_are_taken_over_by_the_next() -> None:
    rb = async_recording()
    rb.publisher.is_down = True
    buffered = rb.buffered(max_seconds=NEVER)
    asyncio.run(identify(buffered, "u1"))
    rb.publisher.is_down = False

    asyncio.run(identify(buffered, "u2"))

    assert [users_of(job) for job in rb.sent] == [["u1"], ["u2"]]


def test_a_second_loop_gets_an_error_while_users_wait_in_the_first() -> None:
    rb = async_recording()
    buffered = rb.buffered(max_seconds=NEVER)
    with LoopThread() as first:
        first.run(buffered.users.identify("u1"))

        with pytest.raises(RuntimeError, match="one event loop"):
            asyncio.run(identify(buffered, "u2"))
        first.run(buffered.aclose())

    asyncio.run(identify(buffered, "u3"))
    assert [users_of(job) for job in rb.sent] == [["u1"], ["u3"]]


def test_a_forked_child_does_not_send_what_its_parent_has_gathered() -> None:
    rb = async_recording()
    buffered = rb.buffered(max_seconds=NEVER)

    async def main() -> int | None:
        await buffered.users.identify("u1")
        child = multiprocessing.get_context("fork").Process(target=in_child, args=(rb, buffered))
        child.start()
        await asyncio.to_thread(child.join, DEADLINE_SECONDS)
        await buffered.aclose()
        return child.exitcode

    assert asyncio.run(main()) == 0
    assert [users_of(job) for job in rb.sent] == [["u1"]]


def in_child(rb: AsyncRecordingRollbook, buffered: AsyncRollbook) -> None:
    asyncio.run(identify(buffered, "u2"))
    assert [users_of(job) for job in rb.sent] == [["u2"]]


AN_EXIT = """
import asyncio, sys
from rollbook import AsyncRollbook
buffered = AsyncRollbook(broker_url=sys.argv[1]).buffered(max_seconds=3600)
loop = asyncio.new_event_loop()
loop.run_until_complete(buffered.users.identify("u1"))
"""


def test_an_exit_sends_what_a_loop_that_was_left_has_gathered(broker_url: str) -> None:
    with connect_to_broker(broker_url) as client:
        client.flushdb()

        done = subprocess.run([sys.executable, "-c", AN_EXIT, broker_url], capture_output=True, text=True, check=False)

        assert done.returncode == 0, done.stderr
        assert client.llen("bulk") == 1
