"""Delivers the messages of one channel: claims as many as it can begin within their lease, and reports each.

A lease is longer than an attempt may take, so an attempt is cut off, and its sender has stopped, before anything else
may claim the delivery. What is claimed and cannot be begun in time is released: at the end of the process, in an
outage, or because others took long.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from rollbook.delivery_spans import delivery_span
from rollbook.models import Delivery
from rollbook_delivery.process.attempt import attempt, seconds_of
from rollbook_delivery.process.observer import outcome_of
from rollbook_delivery.process.outage import Outage
from rollbook_delivery.process.seams import DeliveryObserver, DeliveryQueue, Render
from rollbook_delivery.results import Failed, Result
from rollbook_delivery.senders.sender import Sender
from rollbook_shared.backoff import Backoff
from rollbook_shared.errors import InvalidRequest, NotConfigured, RollbookError, Unavailable

logger: Final = logging.getLogger("rollbook.delivery")

MOST_CLAIMED: Final = 500
"""At a time. A claim of many takes long, and so does the release of what cannot be begun."""
LEASE_MARGIN: Final = 15.0
"""Seconds of a lease beyond two attempts: for a report to a slow database."""
WAIT_SECONDS: Final = 10.0
"""How long it waits for a delivery at a time; an idle channel then looks once more whether its sender is prepared."""
_RETRY: Final = Backoff(first=0.5, longest=15.0)


@dataclass(frozen=True, slots=True)
class _Claimed:
    """A delivery that was claimed and not begun."""

    delivery: Delivery
    lease_ends_at: float


class ChannelLoop:
    """Delivers the messages of one channel until it is stopped."""

    def __init__(
        self,
        channel: str,
        sender: Sender,
        queue: DeliveryQueue,
        render: Render,
        observer: DeliveryObserver,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Deliver what is claimed for the channel of this key."""
        self._channel = channel
        self._sender = sender
        self._queue = queue
        self._render = render
        self._observer = observer
        self._clock = clock
        self._attempt_seconds = seconds_of(sender)
        self._waiting: deque[_Claimed] = deque()
        self._sending = 0
        self._tasks: set[asyncio.Task[None]] = set()
        """Attempts, each until its result is reported."""
        self._done = asyncio.Event()
        """Set when one of them is."""
        self._stop = asyncio.Event()
        self._stopped_by: str | None = None
        self._outage = Outage(clock)
        self._failures = 0
        self._logged = ""

    @property
    def works(self) -> bool:
        """Whether the database was there last, and the channel does not wait."""
        return not self._failures and self._outage.is_over and self._stopped_by is None

    def stop(self) -> None:
        """Begin nothing more."""
        self._stop.set()

    async def run(self) -> None:
        """Deliver until `stop`; then complete what has begun, release what has not, and close the sender."""
        try:
            while not self._stop.is_set():
                await self._release_what_cannot_begin()
                await self._claim_or_wait()
        finally:
            await self._release_what_cannot_begin()
            while self._tasks:
                await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._sender.aclose()

    async def _claim_or_wait(self) -> None:
        """Claim what there is room for, or wait until there is."""
        if self._stopped_by is not None:
            await self._stop.wait()
            return
        if seconds := self._outage.seconds_left:
            await self._pause(seconds)
            return
        if (room := self._room()) <= 0:
            await self._wait_for_room()
            return
        lease = 2 * self._attempt_seconds + LEASE_MARGIN
        try:
            await self._sender.prepare()
            if not await self._wait_for_due():
                return
            lease_ends_at = self._clock() + lease
            claimed = await self._queue.claim(self._channel, limit=room, lease=lease)
        except (Unavailable, NotConfigured, InvalidRequest) as error:
            await self._wait_for_database(error)
            return
        self._failures, self._logged = 0, ""
        if claimed:
            self._observer.claimed(len(claimed))
        self._waiting.extend(_Claimed(delivery, lease_ends_at) for delivery in claimed)
        self._begin()

    async def _wait_for_due(self) -> bool:
        """Wait for a delivery that may be claimed; not beyond the stop of the loop."""
        return await self._unless_stopped(self._queue.wait(self._channel, WAIT_SECONDS))

    async def _wait_for_database(self, error: RollbookError) -> None:
        """Wait, because deliveries cannot be claimed now: a database is away, or the channel just left the registry."""
        if str(error) != self._logged:
            logger.warning("deliver: %s: %s; trying again", self._channel, error)
            self._logged = str(error)
        self._failures += 1
        await self._pause(_RETRY.delay(self._failures - 1))

    def _room(self) -> int:
        """How many to claim. As many wait as are on their way, so that a slot that becomes free is used at once."""
        in_hand = len(self._waiting) + len(self._tasks)
        if not self._outage.is_over:
            return 1 - in_hand
        room = 2 * self._sender.concurrency - in_hand
        return min(room, MOST_CLAIMED) if room > self._sender.concurrency // 2 or not in_hand else 0

    def _begin(self) -> None:
        """Begin what waits, as far as there are slots."""
        while self._waiting and self._sending < self._sender.concurrency and self._can_begin(self._waiting[0]):
            self._sending += 1
            task = asyncio.get_running_loop().create_task(self._deliver(self._waiting.popleft().delivery))
            self._tasks.add(task)
            task.add_done_callback(self._finish)

    def _can_begin(self, claimed: _Claimed) -> bool:
        if self._stop.is_set() or self._stopped_by is not None or self._outage.seconds_left:
            return False
        return self._clock() + self._attempt_seconds < claimed.lease_ends_at

    async def _release_what_cannot_begin(self) -> None:
        unfit = [claimed for claimed in self._waiting if not self._can_begin(claimed)]
        if unfit:
            self._waiting = deque(claimed for claimed in self._waiting if claimed not in unfit)
            await self._insist(lambda: self._queue.release([claimed.delivery for claimed in unfit]))
            self._observer.released(len(unfit))

    async def _deliver(self, delivery: Delivery) -> None:
        started = self._clock()
        try:
            with delivery_span(delivery) as span:
                result = await attempt(delivery, self._render, self._sender)
                outcome, reason = outcome_of(result)
                if reason:
                    span.fail(outcome, reason)
                else:
                    span.succeed(outcome)
        finally:
            self._sending -= 1
        self._learn_from(result)
        self._begin()
        self._observer.finished(delivery, result, self._clock() - started)
        await self._insist(lambda: self._queue.report(delivery, result))

    def _finish(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._done.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            # without its text, which may quote the message; the lease ends by itself
            logger.error("deliver: %s: an attempt failed unexpectedly (%s)", self._channel, type(error).__name__)

    def _learn_from(self, result: Result) -> None:
        match result:
            case Failed(stops=True, reason=reason):
                if self._stopped_by is None:
                    self._stopped_by = reason
                    self._observer.stopped(reason)
            case Failed(outage=True, reason=reason, retry_after=retry_after):
                if (seconds := self._outage.begin(retry_after)) is not None:
                    self._observer.paused(reason, seconds)
            case _:
                if self._outage.end():
                    self._observer.resumed()

    async def _insist(self, call: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Report until the database has taken it. While it is away no other sender can claim the delivery either, so a
        late report still keeps the message from being sent twice. At the end of the process it is tried once more.
        """
        failures = 0
        while True:
            last = self._stop.is_set()
            try:
                await call()
            except Unavailable:
                if last:
                    return
                await self._pause(_RETRY.delay(failures))
                failures += 1
            except RollbookError as error:  # a right or a table is missing; the lease ends by itself
                logger.error("deliver: %s: cannot report: %s", self._channel, error)
                return
            else:
                return

    async def _wait_for_room(self) -> None:
        self._done.clear()
        if self._tasks:
            await self._unless_stopped(self._done.wait())

    async def _unless_stopped(self, event: Coroutine[Any, Any, bool]) -> bool:
        """Wait for the event; False: the loop was stopped before."""
        happens = asyncio.ensure_future(event)
        stop = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait((happens, stop), return_when=asyncio.FIRST_COMPLETED)
            return happens.done() and happens.result()
        finally:
            stop.cancel()
            happens.cancel()

    async def _pause(self, seconds: float) -> None:
        """Wait, unless the loop is stopped."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stop.wait()
