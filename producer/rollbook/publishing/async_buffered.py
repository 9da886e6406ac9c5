"""Identifies from a hot path of coroutines: gathered in memory, and sent as bulk jobs by a task.

What `rollbook.publishing.buffered` promises holds here too: the order, the bounds, the errors. The task runs as long as
users wait. It flushes when it is cancelled, as `asyncio.run` cancels it at its end.

A buffer belongs to one event loop: users that wait in one loop cannot be sent by another. When that loop is closed, the
next one takes over what is left.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from rollbook.at_exit import flush_at_exit, register_exit_hooks
from rollbook.at_fork import reset_after_fork
from rollbook.publishing.buffered import BACKOFF, BATCH_BYTES, WAITING_BYTES, BufferFull, UserBatch
from rollbook_shared.domain.stamps import new_job_id
from rollbook_shared.errors import Unavailable
from rollbook_shared.observability.tracing import current_sampled_span

if TYPE_CHECKING:
    from rollbook.publishing import EncodedJob

logger: Final = logging.getLogger("rollbook")


class AsyncBuffer:
    """Gathers users into bulk jobs. Tasks of one event loop may share it; a forked child starts with an empty one."""

    _loop: AbstractEventLoop | None
    _wake: asyncio.Event
    """Set when the task has to look again."""
    _room: asyncio.Event
    """Set when users were sent."""
    _sending: asyncio.Lock
    _filling: UserBatch | None
    _waiting: int
    _waiting_bytes: int
    _task: asyncio.Task[None] | None

    def __init__(
        self,
        send: Callable[[EncodedJob], Awaitable[None]],
        *,
        max_users: int,
        max_seconds: float,
        max_waiting: int,
        block_seconds: float,
    ) -> None:
        self._send = send
        self._max_users = max_users
        self._max_seconds = max_seconds
        self._max_waiting = max_waiting
        self._block_seconds = block_seconds
        self._begin_empty()
        reset_after_fork(self)
        flush_at_exit(self)

    async def add(self, user: bytes, occurred_at: int) -> str:
        """Keep the encoded user for the next bulk job, and return that job's id.

        Raises:
            BufferFull: there was no room within `block_seconds`.
            RuntimeError: the buffer belongs to another event loop.
        """
        call = current_sampled_span()
        loop = self._join_loop()
        if self._is_full():
            await self._wait_for_room()
        batch = self._filling
        if batch is None:
            batch = self._filling = UserBatch(new_job_id(occurred_at), loop.time() + self._max_seconds)
            self._wake.set()
        batch.add(user, occurred_at, call)
        self._waiting += 1
        self._waiting_bytes += len(user)
        if len(batch.users) >= self._max_users or batch.size >= BATCH_BYTES:
            self._seal()
        if self._task is None or self._task.done():
            self._start_task(loop)
        return batch.id

    async def flush(self) -> None:
        """Send everything that was added before.

        Raises:
            NotSent: the broker did not take a batch; it is kept, and sent again later.
            RuntimeError: the buffer belongs to another event loop.
        """
        self._join_loop()
        self._seal()
        await self._send_sealed()

    async def aclose(self) -> None:
        """Flush, and end the task. Adding a user starts it again.

        Raises:
            NotSent: the broker did not take everything; the rest is kept for another `aclose` or `flush`.
            RuntimeError: the buffer belongs to another event loop.
        """
        self._join_loop()
        task, self._task = self._task, None
        if task is not None:
            self._wake.set()
            await asyncio.wait([task])
        await self.flush()

    def flush_at_exit(self) -> None:
        """Send everything in a loop of its own: the loop of the users does not run any more."""
        if not self._waiting:
            return
        self._loop = None
        try:
            asyncio.run(self.aclose())
        except Exception as error:  # of any kind: other buffers are flushed too
            reason = error if isinstance(error, Unavailable) else type(error).__name__
            logger.error("%d buffered users were not sent: %s", self._waiting, reason)

    @property
    def waiting(self) -> int:
        """How many users are not sent yet."""
        return self._waiting

    def drop_inherited_connections(self) -> None:
        # the parent sends what it has gathered
        self._begin_empty()

    def _begin_empty(self) -> None:
        self._loop = None
        self._filling = None
        self._sealed: deque[UserBatch] = deque()
        self._waiting = 0
        self._waiting_bytes = 0
        self._task = None

    def _join_loop(self) -> AbstractEventLoop:
        loop = asyncio.get_running_loop()
        if loop is self._loop:
            return loop
        if self._loop is not None and self._waiting and not self._loop.is_closed():
            raise RuntimeError("a buffered client belongs to one event loop; make another one for each loop")
        self._loop = loop
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._sending = asyncio.Lock()
        self._task = None
        if self._waiting:
            self._start_task(loop)
        return loop

    def _seal(self) -> None:
        if self._filling is not None:
            self._sealed.append(self._filling)
            self._filling = None
            self._wake.set()

    async def _send_sealed(self) -> None:
        async with self._sending:
            # not until none are left: callers may add them faster than this sends
            for batch in list(self._sealed):
                await self._send(batch.job())
                self._sealed.popleft()
                self._waiting -= len(batch.users)
                self._waiting_bytes -= batch.size
                self._room.set()

    def _is_full(self) -> bool:
        return self._waiting >= self._max_waiting or self._waiting_bytes >= WAITING_BYTES

    async def _wait_for_room(self) -> None:
        try:
            async with asyncio.timeout(self._block_seconds):
                while self._is_full():
                    self._room.clear()
                    await self._room.wait()
        except TimeoutError:
            raise BufferFull(self._waiting) from None

    def _start_task(self, loop: AbstractEventLoop) -> None:
        register_exit_hooks()
        # with a context of its own: what it sends belongs to no single call
        self._task = loop.create_task(self._run(loop), name="rollbook-buffer", context=contextvars.Context())

    async def _run(self, loop: AbstractEventLoop) -> None:
        try:
            await self._send_until_empty(loop)
        except asyncio.CancelledError:
            try:
                await self.flush()
            except Unavailable as error:
                logger.error("%d buffered users were not sent: %s", self._waiting, error)
            raise

    async def _send_until_empty(self, loop: AbstractEventLoop) -> None:
        own = asyncio.current_task()
        failures = 0
        while self._waiting and self._task is own:
            self._wake.clear()
            if self._filling is not None and self._filling.due <= loop.time():
                self._seal()
            if not self._sealed:
                await self._sleep(loop, self._filling.due - loop.time() if self._filling is not None else 0.0)
                continue
            try:
                await self._send_sealed()
            except Exception as error:  # of any kind: without this task the users would not be sent
                if not failures:
                    logger.warning("buffered users are kept (%s: %s)", type(error).__name__, error)
                await self._pause(loop, BACKOFF.delay(failures), own)
                failures += 1
            else:
                failures = 0

    async def _pause(self, loop: AbstractEventLoop, seconds: float, own: asyncio.Task[None] | None) -> None:
        end = loop.time() + seconds
        while self._task is own and (left := end - loop.time()) > 0:
            self._wake.clear()
            await self._sleep(loop, left)

    async def _sleep(self, loop: AbstractEventLoop, seconds: float) -> None:
        """Sleep for so long, or until the buffer wakes the task."""
        timer = loop.call_later(seconds, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            timer.cancel()
