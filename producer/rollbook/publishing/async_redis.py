"""Pushes messages as `rollbook.publishing.redis` does, from coroutines and over connections of `redis.asyncio`.

The queues, the bounds of time and the second try are the same. Each event loop has connections of its own. A connection
is used by one push at a time: a push that is cancelled closes it, because an answer may still come.

When all connections are in use, the pushes that wait for one go together, in one command for each queue. A thousand
coroutines that call at once would otherwise wait for each other's round trips, and some of them longer than any
timeout: in a busy loop a round trip takes as long as all that the loop does meanwhile. The timeouts do not
count the time in which the loop did not run.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from rollbook.event_loops import PerLoop
from rollbook.publishing.direct import MAX_BATCH_BYTES, MAX_BATCH_JOBS
from rollbook.publishing.redis import (
    ANSWER_SECONDS,
    BROKER_FAILURES,
    CONNECT_SECONDS,
    LARGE_PUSH,
    PAUSE_SECONDS,
    answer_seconds,
    chunks,
)
from rollbook_shared.broker_url import BrokerEndpoint, parse_broker_url
from rollbook_shared.loop_timeouts import LoopTimeouts

MAX_CONNECTIONS: Final = 4
"""Fewer than threads have: pushes that wait go together, and one push of many costs far less than many pushes."""
_SILENT: Final = "the broker does not answer"


class AsyncBroker:
    """Pushes messages. Event loops may share it; a forked child opens connections of its own."""

    def __init__(self, url: str) -> None:
        """Prepare to connect; nothing is connected before the first push.

        Raises:
            NotConfigured: this is no URL of a Redis.
        """
        endpoints = parse_broker_url(url)
        for endpoint in endpoints:
            endpoint.require_async()
        self._loops = PerLoop(lambda: _Connections(endpoints))

    async def push(self, queue: str, messages: Sequence[bytes]) -> None:
        """Put the messages into the queue, in their order and all at once.

        Raises:
            BROKER_FAILURES: Redis did not take them, or its answer was lost.
        """
        await self._loops.get().push(queue, messages)

    async def aclose(self) -> None:
        """Close the connections; pushing again opens new ones."""
        await self._loops.aclose()


@dataclass(slots=True, eq=False)
class _Waiting:
    """A push that waits for a connection."""

    messages: Sequence[bytes]
    sent: asyncio.Future[None]
    """Cancelled if its caller is, and then not sent, unless it is on its way."""


class _Connections:
    """The connections of one event loop, and the pushes that wait for one."""

    def __init__(self, endpoints: Sequence[BrokerEndpoint]) -> None:
        self._endpoints = deque(endpoints)
        self._timeouts = LoopTimeouts()
        self._pool = _AsyncPool(self._endpoints[0], self._timeouts)
        self._in_use = 0
        self._waiting: dict[str, deque[_Waiting]] = {}
        """By queue."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def push(self, queue: str, messages: Sequence[bytes]) -> None:
        if self._in_use >= MAX_CONNECTIONS:
            await self._push_with_others(queue, messages)
            return
        self._in_use += 1
        try:
            await self._push_twice(queue, messages)
        finally:
            self._release()

    async def aclose(self) -> None:
        closed, self._pool = self._pool, _AsyncPool(self._endpoints[0], self._timeouts)
        await closed.aclose()

    async def _push_with_others(self, queue: str, messages: Sequence[bytes]) -> None:
        # without a timeout of its own: each push before it has one
        waiting = _Waiting(messages, asyncio.get_running_loop().create_future())
        self._waiting.setdefault(queue, deque()).append(waiting)
        await waiting.sent

    def _release(self) -> None:
        """Pass the connection on to the pushes that wait for one, or count it as free."""
        if any(self._waiting.values()):
            task = asyncio.get_running_loop().create_task(self._push_waiting(), context=contextvars.Context())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            self._in_use -= 1

    async def _push_waiting(self) -> None:
        """Push all that waits for a connection, many in one command, while anything does."""
        try:
            while batch := self._take_batch():
                queue, taken = batch
                try:
                    await self._push_twice(queue, [message for each in taken for message in each.messages])
                except BaseException as error:
                    for each in taken:
                        if not each.sent.done():
                            each.sent.set_exception(error)
                    if not isinstance(error, BROKER_FAILURES):
                        raise
                else:
                    for each in taken:
                        if not each.sent.done():
                            each.sent.set_result(None)
        finally:
            self._in_use -= 1

    def _take_batch(self) -> tuple[str, list[_Waiting]] | None:
        for queue, waiting in self._waiting.items():
            taken: list[_Waiting] = []
            size = 0
            while waiting and len(taken) < MAX_BATCH_JOBS and size < MAX_BATCH_BYTES:
                each = waiting.popleft()
                if not each.sent.done():
                    taken.append(each)
                    size += sum(map(len, each.messages))
            if taken:
                return queue, taken
        return None

    async def _push_twice(self, queue: str, messages: Sequence[bytes]) -> None:
        try:
            await self._try_push(queue, messages)
        except BROKER_FAILURES:
            await asyncio.sleep(PAUSE_SECONDS)
            await self._try_push(queue, messages)

    async def _try_push(self, queue: str, messages: Sequence[bytes]) -> None:
        pool = self._pool
        try:
            await pool.push(queue, messages)
        except BROKER_FAILURES:
            if self._pool is pool:  # use the next server from now on, see `rollbook.publishing.redis`
                self._endpoints.rotate(-1)
                self._pool = _AsyncPool(self._endpoints[0], self._timeouts)
            await pool.aclose()
            raise


class _AsyncPool:
    """Connections to one server. It opens as many as are used at once and keeps them."""

    def __init__(self, endpoint: BrokerEndpoint, timeouts: LoopTimeouts) -> None:
        self._endpoint = endpoint
        self._timeouts = timeouts
        self._idle: deque[Any] = deque()
        self._is_closed = False

    async def push(self, queue: str, messages: Sequence[bytes]) -> None:
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = None
        if connection is None:
            connection = await self._endpoint.connect_async(connect_seconds=CONNECT_SECONDS)
        try:
            await _push(connection, queue, messages, self._timeouts)
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        self._idle.append(connection)
        if self._is_closed:
            await self.aclose()

    async def aclose(self) -> None:
        self._is_closed = True
        with suppress(IndexError):
            while True:
                await self._idle.pop().disconnect(nowait=True)


async def _push(connection: Any, queue: str, messages: Sequence[bytes], timeouts: LoopTimeouts) -> None:
    if (size := sum(map(len, messages))) < LARGE_PUSH:
        with timeouts.limit(ANSWER_SECONDS, _SILENT):
            await connection.send_command("LPUSH", queue, *messages)
            await connection.read_response()
        return
    for chunk in chunks(connection.pack_command("LPUSH", queue, *messages)):
        with timeouts.limit(ANSWER_SECONDS, _SILENT):
            await connection.send_packed_command([chunk])
    with timeouts.limit(answer_seconds(size), _SILENT):
        await connection.read_response()
