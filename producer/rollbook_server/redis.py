"""Commands to the broker's Redis, over a few connections of its own.

When all connections are in use, the commands that wait for one go together, as those of `AsyncBroker` do: at thousands
of requests a second a round trip for each would be the most expensive part of a request.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import redis.exceptions

from rollbook.errors import Unavailable
from rollbook_shared.broker_url import parse_broker_url
from rollbook_shared.loop_timeouts import LoopTimeouts
from rollbook_shared.reasons import safe_reason

CONNECT_SECONDS: Final = 1.0
ANSWER_SECONDS: Final = 1.5
_MAX_CONNECTIONS: Final = 4
_MAX_COMMANDS: Final = 500
"""About so many go together."""
_FAILURES: Final = (redis.exceptions.RedisError, OSError, TimeoutError)

Commands = Sequence[tuple[Any, ...]]


@dataclass(slots=True, eq=False)
class _WaitingCommands:
    """Commands that wait for a connection."""

    commands: Commands
    answers: asyncio.Future[list[Any]]
    """Cancelled if its caller is, and then not sent, unless it is on its way."""


class BrokerRedis:
    """Sends commands to the Redis of the broker's URL. It connects at the first one. For one event loop."""

    def __init__(self, broker_url: str) -> None:
        """Prepare to connect.

        Raises:
            NotConfigured: this is no URL of a Redis.
        """
        self._endpoints = deque(parse_broker_url(broker_url))
        self._idle: deque[Any] = deque()
        self._in_use = 0
        self._waiting: deque[_WaitingCommands] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._timeouts = LoopTimeouts()

    async def execute(self, *commands: tuple[Any, ...]) -> list[Any]:
        """The answers to the commands, which are sent together.

        Raises:
            Unavailable: Redis does not answer, or refuses a command.
        """
        if self._in_use >= _MAX_CONNECTIONS:
            # without a timeout of its own: each round trip before it has one
            waiting = _WaitingCommands(commands, asyncio.get_running_loop().create_future())
            self._waiting.append(waiting)
            return await waiting.answers
        self._in_use += 1
        try:
            return await self._try_twice(commands)
        finally:
            self._release()

    async def aclose(self) -> None:
        """Close the connections."""
        while self._idle:
            await self._idle.pop().disconnect(nowait=True)

    def _release(self) -> None:
        """Pass the connection on to the commands that wait for one, or count it as free."""
        if self._waiting:
            task = asyncio.get_running_loop().create_task(self._execute_waiting())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            self._in_use -= 1

    async def _execute_waiting(self) -> None:
        """Send all that waits for a connection together, while anything does."""
        try:
            while taken := self._take_waiting():
                try:
                    answers = await self._try_twice([command for each in taken for command in each.commands])
                except BaseException as error:
                    for each in taken:
                        if not each.answers.done():
                            each.answers.set_exception(error)
                    if not isinstance(error, Unavailable):
                        raise
                    continue
                for each in taken:
                    count = len(each.commands)
                    if not each.answers.done():
                        each.answers.set_result(answers[:count])
                    del answers[:count]
        finally:
            self._in_use -= 1

    def _take_waiting(self) -> list[_WaitingCommands]:
        taken: list[_WaitingCommands] = []
        size = 0
        while self._waiting and size < _MAX_COMMANDS:
            each = self._waiting.popleft()
            if not each.answers.done():
                taken.append(each)
                size += len(each.commands)
        return taken

    async def _try_twice(self, commands: Commands) -> list[Any]:
        try:
            return await self._try(commands)
        except _FAILURES:
            self._endpoints.rotate(-1)  # this server may be away, or a replica now
            await self.aclose()
        try:
            return await self._try(commands)
        except _FAILURES as error:
            raise Unavailable(f"Redis does not answer: {safe_reason(error)}") from error

    async def _try(self, commands: Commands) -> list[Any]:
        connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = await self._endpoints[0].connect_async(connect_seconds=CONNECT_SECONDS)
        try:
            with self._timeouts.limit(ANSWER_SECONDS, "the broker does not answer"):
                await connection.send_packed_command(connection.pack_commands(commands))
                answers = [await connection.read_response() for _ in commands]
        except BaseException:  # an answer may still come, and the next command would take it for its own
            await connection.disconnect(nowait=True)
            raise
        self._idle.append(connection)
        return answers
