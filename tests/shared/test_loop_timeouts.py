"""A timeout counts the time in which the event loop runs, and never swallows a cancellation of others."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest
from tests.support.event_loops import in_loop

from rollbook_shared.loop_timeouts import LoopTimeouts


@in_loop
async def test_what_takes_too_long_is_cancelled_with_the_reason() -> None:
    with pytest.raises(TimeoutError, match="no answer"), LoopTimeouts().limit(0.01, "no answer"):
        await asyncio.Event().wait()

    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


@in_loop
async def test_what_is_done_in_time_returns() -> None:
    with LoopTimeouts().limit(0.01, "no answer"):
        await asyncio.sleep(0)

    await asyncio.sleep(0.02)


@in_loop
async def test_an_answer_that_came_while_the_loop_was_busy_is_found() -> None:
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours)

    def compute() -> None:
        time.sleep(0.3)
        theirs.sendall(b"answer\n")

    with theirs, LoopTimeouts().limit(0.05, "no answer"):
        asyncio.get_running_loop().call_soon(compute)

        assert await reader.readline() == b"answer\n"
    writer.close()


@in_loop
async def test_a_cancellation_from_outside_stays_one() -> None:
    async def wait() -> None:
        with LoopTimeouts().limit(3_600, "no answer"):
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


@in_loop
async def test_an_error_in_the_block_is_raised_as_it_is() -> None:
    with pytest.raises(KeyError), LoopTimeouts().limit(3_600, "no answer"):
        raise KeyError
