"""The process that delivers reports many deliveries at once: each once, and each learns what became of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import pytest
from tests.support.waits import DEADLINE_SECONDS

from rollbook.models import DeliveryReport
from rollbook_delivery.process.report_batches import ReportBatches
from rollbook_shared.errors import Unavailable

EVER: Final = 3_600.0
"""Longer than a test: only a batch that is full is sent."""


def sent(id_: str, claim: int = 1) -> DeliveryReport:
    return DeliveryReport(id=id_, outcome="sent", claim=claim)


class Database:
    """Keeps the batches. `lost` are the ids whose report does not count; while it is `away`, calls fail."""

    def __init__(self) -> None:
        self.batches: list[list[tuple[str, int | None]]] = []
        self.lost: tuple[str, ...] = ()
        self.is_away = False
        self.entered = asyncio.Event()
        self.opened = asyncio.Event()
        self.opened.set()

    async def report(self, reports: Sequence[DeliveryReport]) -> Sequence[str]:
        self.batches.append([(report.id, report.claim) for report in reports])
        self.entered.set()
        await self.opened.wait()
        if self.is_away:
            raise Unavailable("the database is away")
        return self.lost


def play(work: Callable[[Database], Awaitable[Any]]) -> Database:
    """What the database got."""

    async def run() -> Database:
        database = Database()
        async with asyncio.timeout(DEADLINE_SECONDS):
            await work(database)
        return database

    return asyncio.run(run())


def test_reports_that_come_together_are_one_call() -> None:
    async def work(database: Database) -> None:
        batches = ReportBatches(database.report, gather_seconds=EVER, most=3)
        assert await asyncio.gather(*(batches.report(sent(id_)) for id_ in "abc")) == [True] * 3

    assert play(work).batches == [[("a", 1), ("b", 1), ("c", 1)]]


def test_a_report_alone_does_not_wait_long() -> None:
    async def work(database: Database) -> None:
        batches = ReportBatches(database.report)
        assert await batches.report(sent("a"))
        assert await batches.report(sent("b"))

    assert play(work).batches == [[("a", 1)], [("b", 1)]]


def test_a_batch_is_bounded_and_the_next_one_gathers_meanwhile() -> None:
    async def work(database: Database) -> None:
        batches = ReportBatches(database.report, gather_seconds=0, most=2)
        database.opened.clear()
        first = asyncio.create_task(batches.report(sent("a")))
        await database.entered.wait()
        others = [asyncio.create_task(batches.report(sent(id_))) for id_ in "bcd"]
        await asyncio.sleep(0)
        database.opened.set()
        await asyncio.gather(first, *others)

    assert play(work).batches == [[("a", 1)], [("b", 1), ("c", 1)], [("d", 1)]]


def test_each_learns_whether_its_own_report_counts() -> None:
    async def work(database: Database) -> None:
        database.lost = ("b",)
        batches = ReportBatches(database.report)
        assert await asyncio.gather(*(batches.report(sent(id_)) for id_ in "abc")) == [True, False, True]

    assert len(play(work).batches) == 1


def test_two_reports_of_one_delivery_are_not_in_one_call() -> None:
    async def work(database: Database) -> None:
        batches = ReportBatches(database.report)
        await asyncio.gather(batches.report(sent("a", 1)), batches.report(sent("a", 2)), batches.report(sent("b")))

    assert play(work).batches == [[("a", 1), ("b", 1)], [("a", 2)]]


def test_a_call_that_fails_fails_for_each_and_for_none_after_it() -> None:
    async def work(database: Database) -> None:
        database.is_away = True
        batches = ReportBatches(database.report)
        failed = await asyncio.gather(*(batches.report(sent(id_)) for id_ in "ab"), return_exceptions=True)
        assert [type(error) for error in failed] == [Unavailable] * 2
        database.is_away = False
        assert await batches.report(sent("a"))

    assert play(work).batches == [[("a", 1), ("b", 1)], [("a", 1)]]


def test_an_attempt_that_is_cancelled_harms_no_other() -> None:
    async def work(database: Database) -> None:
        batches = ReportBatches(database.report)
        database.opened.clear()
        gone = asyncio.create_task(batches.report(sent("a")))
        stays = asyncio.create_task(batches.report(sent("b")))
        await database.entered.wait()
        gone.cancel()
        database.opened.set()
        assert await stays
        with pytest.raises(asyncio.CancelledError):
            await gone

    assert play(work).batches == [[("a", 1), ("b", 1)]]
