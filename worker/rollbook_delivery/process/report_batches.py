"""Reports that come at about the same time go to the database together: one transaction costs about as much as one
report in it.

A report waits a little for others, so that a message is a little longer handed over and not yet reported: if the
process is killed then, it is sent once more. While one batch is on its way, the next one gathers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

from rollbook.models import DeliveryReport

GATHER_SECONDS: Final = 0.01
"""How long the first report of a batch waits for others."""
MOST: Final = 100
"""Reports in a batch. One that is full waits for no more."""


class ReportBatches:
    """Reports for coroutines of one event loop; each learns what became of its own."""

    def __init__(
        self,
        report: Callable[[Sequence[DeliveryReport]], Awaitable[Sequence[str]]],
        *,
        gather_seconds: float = GATHER_SECONDS,
        most: int = MOST,
    ) -> None:
        """Report with this call, which returns the ids whose report does not count."""
        self._report = report
        self._gather_seconds = gather_seconds
        self._most = most
        self._waiting: list[tuple[DeliveryReport, asyncio.Future[bool]]] = []
        self._full = asyncio.Event()
        self._sending: asyncio.Task[None] | None = None

    async def report(self, report: DeliveryReport) -> bool:
        """Report of one delivery; return whether it counts.

        Raises:
            Exception: what the call raises; nothing says then whether the report has arrived.
        """
        loop = asyncio.get_running_loop()
        counts: asyncio.Future[bool] = loop.create_future()
        self._waiting.append((report, counts))
        if len(self._waiting) >= self._most:
            self._full.set()
        if self._sending is None:
            self._sending = loop.create_task(self._send())
        return await counts

    async def _send(self) -> None:
        while self._waiting:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._gather_seconds):
                    await self._full.wait()
            await self._send_batch(self._take())
        self._sending = None

    async def _send_batch(self, batch: Sequence[tuple[DeliveryReport, asyncio.Future[bool]]]) -> None:
        try:
            lost = frozenset(await self._report([report for report, _ in batch]))
        except Exception as error:
            for _, counts in batch:
                if not counts.done():  # it is, if the attempt was cancelled
                    counts.set_exception(error)
        else:
            for report, counts in batch:
                if not counts.done():
                    counts.set_result(report.id not in lost)

    def _take(self) -> list[tuple[DeliveryReport, asyncio.Future[bool]]]:
        """The next batch: of each delivery one report. Another one of it, after a lease that was lost, waits."""
        batch: dict[str, tuple[DeliveryReport, asyncio.Future[bool]]] = {}
        left = []
        for each in self._waiting:
            if len(batch) < self._most and each[0].id not in batch:
                batch[each[0].id] = each
            else:
                left.append(each)
        self._waiting = left
        if len(left) < self._most:
            self._full.clear()
        return list(batch.values())
