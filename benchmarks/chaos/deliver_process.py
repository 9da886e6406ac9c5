"""`rollbook deliver` as it is deployed, with leases so short that faults outlast them, and with a journal.

`python -m benchmarks.chaos.deliver_process`
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from benchmarks.chaos.delivery_journal import JOURNAL, DeliveryJournal, Report
from benchmarks.chaos.fault_kinds import LEASE_SECONDS
from benchmarks.chaos.sender_registry import SINK_TIMEOUT

from rollbook import AsyncRollbook
from rollbook.models import Delivery, DeliveryReport
from rollbook_delivery.process import attempt, channel_loop, main
from rollbook_delivery.process.client_queue import ClientQueue

_RENDER_SECONDS: Final = 0.5


class _JournaledDeliveries:
    """The client's deliveries; claims and reports are recorded."""

    def __init__(self, deliveries: Any, journal: DeliveryJournal) -> None:
        self._deliveries = deliveries
        self._journal = journal

    async def claim(self, channel: str, *, limit: int, lease: float) -> tuple[Delivery, ...]:
        claimed: tuple[Delivery, ...] = await self._deliveries.claim(channel, limit=limit, lease=lease)
        self._journal.claimed(claimed, lease)
        return claimed

    async def report(self, reports: Iterable[DeliveryReport]) -> tuple[str, ...]:
        reports = tuple(reports)
        begun = time.time()
        for each in reports:
            self._journal.add(_record(each, begun))
        lost: tuple[str, ...] = await self._deliveries.report(reports)
        for each in reports:
            self._journal.add(_record(each, begun, answered_at=time.time(), counts=each.id not in lost))
        return lost

    def __getattr__(self, name: str) -> Any:
        return getattr(self._deliveries, name)


class _JournaledClient:
    def __init__(self, client: AsyncRollbook, journal: DeliveryJournal) -> None:
        self.deliveries = _JournaledDeliveries(client.deliveries, journal)
        self.aclose = client.aclose


def _record(report: DeliveryReport, begun: float, **answer: Any) -> Report:
    return Report(id=report.id, claim=report.claim or 0, outcome=report.outcome, begun_at=begun, **answer)


def _open_queue(client: AsyncRollbook) -> ClientQueue:
    journal = DeliveryJournal(Path(os.environ[JOURNAL]))
    return ClientQueue(_JournaledClient(client, journal))  # type: ignore[arg-type]  # has what the queue calls


if __name__ == "__main__":
    # the lease is twice an attempt and the margin
    vars(attempt)["RENDER_SECONDS"] = _RENDER_SECONDS
    vars(channel_loop)["LEASE_MARGIN"] = LEASE_SECONDS - 2 * (_RENDER_SECONDS + SINK_TIMEOUT)
    vars(main)["ClientQueue"] = _open_queue
    sys.exit(main.main(()))
