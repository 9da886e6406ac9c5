"""Deliveries, for coroutines."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING

from rollbook import queries
from rollbook.delivery_pace import EMPTY_SECONDS, Pace
from rollbook.resources.async_jobs import AsyncJobHandle
from rollbook.resources.awaited import read, returning
from rollbook.resources.deliveries import EACH_LIMIT, Deliveries

if TYPE_CHECKING:
    from rollbook.models import Delivery
    from rollbook.resources.async_context import AsyncClientContext


class AsyncDeliveries:
    """Claim the messages that are to leave, report what became of them, and look at them.

    The methods of `Deliveries`, with the same arguments and errors, to be awaited.
    """

    def __init__(self, context: AsyncClientContext) -> None:
        self._context = context

    claim = read(Deliveries.claim)
    sent = read(Deliveries.sent)
    delivered = read(Deliveries.delivered)
    failed = read(Deliveries.failed)
    release = read(Deliveries.release)
    report = read(Deliveries.report)
    token_gone = returning(AsyncJobHandle, Deliveries.token_gone)
    cancel = read(Deliveries.cancel)
    retry = read(Deliveries.retry)
    get = read(Deliveries.get)
    list = read(Deliveries.list)
    _report = Deliveries._report

    async def wait(self, channel: str, timeout: float = 30.0) -> bool:
        """Wait until a delivery of the channel may be claimed, as `Deliveries.wait` does.

        Raises:
            InvalidRequest, NotConfigured, Unavailable: see `Deliveries`.
        """
        from rollbook.delivery_wait import async_wait_for_deliveries  # imported here: only senders need it

        found = queries.checked_delivered_channel(channel, self._context.registry())
        return await async_wait_for_deliveries(
            lambda: self._context.read(queries.has_due_deliveries(found.key)),
            found.key,
            self._context.broker_url,
            queries.checked_timeout(timeout),
        )

    async def claim_each(
        self, channel: str, *, limit: int = EACH_LIMIT, lease: float = 30, idle: float | None = None
    ) -> AsyncGenerator[Delivery, None]:
        """Claim deliveries one after the other, and wait for more, as `Deliveries.claim_each` does.

            async with aclosing(rb.deliveries.claim_each("push")) as deliveries:
                async for delivery in deliveries:
                    async with rb.deliveries.attempt(delivery):
                        await send(delivery)

        Without `aclosing` a loop that is left early keeps what it has claimed in advance until the lease ends.

        Raises:
            InvalidRequest, NotConfigured, Unavailable: see `Deliveries`; when the next one is claimed.
        """
        queries.checked_claim(limit, lease)
        pace = Pace(idle)
        while (seconds := pace.wait_seconds()) is not None:
            if not await self.wait(channel, seconds):
                continue
            until = time.monotonic() + lease / 2
            if claimed := await self.claim(channel, limit=limit, lease=lease):
                async with aclosing(self._hand_out(claimed, until)) as deliveries:
                    async for delivery in deliveries:
                        yield delivery
                pace.found()
            else:
                await asyncio.sleep(EMPTY_SECONDS)

    @asynccontextmanager
    async def attempt(self, delivery: Delivery) -> AsyncIterator[None]:
        """Hand a delivery over in an `async with` block, and report of it, as `Deliveries.attempt` does. A task that is
        cancelled in the block releases the delivery.

        Raises:
            NotConfigured, Unavailable: see `Deliveries`; when it reports.
        """
        from rollbook.delivery_results import attempt_result  # imported here: only senders need it

        try:
            with attempt_result(delivery) as result:
                yield
        except BaseException:
            await self.report([queries.checked_report(delivery, "release")])
            raise
        result.warn_if_lost(await self.report([result.report]))

    async def _hand_out(self, deliveries: tuple[Delivery, ...], until: float) -> AsyncGenerator[Delivery, None]:
        left = [*reversed(deliveries)]
        try:
            while left and time.monotonic() < until:
                yield left.pop()
        finally:
            if left:
                await self.report([queries.checked_report(delivery, "release") for delivery in left])
