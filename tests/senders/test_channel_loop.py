"""The loop of a channel: what is claimed, what is begun, and what is reported."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from tests.support.senders.deliveries import CONTENT
from tests.support.senders.memory_deliveries import MemoryDeliveries, ScriptedSender, sent
from tests.support.waits import DEADLINE_SECONDS

from rollbook.models import Content, Delivery
from rollbook_delivery.process import channel_loop
from rollbook_delivery.process.channel_loop import LEASE_MARGIN, ChannelLoop
from rollbook_delivery.process.observer import ChannelObserver
from rollbook_delivery.process.seams import Unrenderable
from rollbook_delivery.results import Failed, Result, Sent
from rollbook_shared.backoff import Backoff

OUTAGE = Failed(reason="the mail server cannot be reached", outage=True)


class Clock:
    """Shows the time that a test sets."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Observer(ChannelObserver):
    """Keeps what a log would say."""

    def __init__(self) -> None:
        super().__init__("mail", None)
        self.events: list[str] = []

    def paused(self, reason: str, seconds: float) -> None:
        self.events.append(f"paused {seconds:.0f}" if seconds >= 2 else "paused")

    def resumed(self) -> None:
        self.events.append("resumed")

    def stopped(self, reason: str) -> None:
        self.events.append("stopped")


@contextlib.asynccontextmanager
async def running(
    sender: ScriptedSender,
    deliveries: MemoryDeliveries,
    *,
    render: Callable[[Delivery], Content | None] = lambda _: CONTENT,
    observer: ChannelObserver | None = None,
    clock: Callable[[], float] | None = None,
) -> AsyncIterator[ChannelLoop]:
    options = {} if clock is None else {"clock": clock}
    loop = ChannelLoop("mail", sender, deliveries, render, observer or Observer(), **options)
    task = asyncio.ensure_future(loop.run())
    try:
        yield loop
    finally:
        loop.stop()
        await task
    assert sender.closed


def works(loop: ChannelLoop) -> bool:
    return loop.works


def play(work: Callable[[], Any]) -> None:
    asyncio.run(asyncio.wait_for(work(), DEADLINE_SECONDS))


def test_each_delivery_is_reported_once_and_few_are_on_their_way_at_a_time() -> None:
    async def work() -> None:
        three = asyncio.Barrier(3)

        async def meet(_: Delivery) -> Result:
            await three.wait()
            return Sent()

        deliveries, sender = MemoryDeliveries(), ScriptedSender(meet, concurrency=3)
        deliveries.add(51)

        async with running(sender, deliveries):
            await deliveries.until(lambda: len(deliveries.reported) == 51)

        assert dict(deliveries.reported) == {f"m{number}": Sent() for number in range(51)}
        assert len(deliveries.reported) == 51
        assert sender.most_running == 3
        assert {limit for limit, _ in deliveries.claims} <= set(range(2, 7))
        assert sender.contents == [CONTENT] * 51

    play(work)


def test_a_claim_is_bounded_however_many_may_be_on_their_way() -> None:
    async def work() -> None:
        deliveries, sender = MemoryDeliveries(), ScriptedSender(sent, concurrency=1_000)
        deliveries.add(3)

        async with running(sender, deliveries):
            await deliveries.until(lambda: len(deliveries.reported) == 3)

        assert {limit for limit, _ in deliveries.claims} == {channel_loop.MOST_CLAIMED}

    play(work)


def test_a_sender_that_hangs_is_cut_off_before_the_lease_ends() -> None:
    async def work() -> None:
        ended = asyncio.Event()

        async def hang(_: Delivery) -> Result:
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()
            raise AssertionError

        deliveries, sender = MemoryDeliveries(), ScriptedSender(hang, timeout=0.01)
        deliveries.add(1)

        async with running(sender, deliveries):
            await deliveries.until(lambda: len(deliveries.reported) == 1)

        assert ended.is_set()
        assert deliveries.reported == [("m0", Failed(reason="it was not handed over within 0.01 s"))]
        assert all(lease > LEASE_MARGIN + 2 * sender.timeout for _, lease in deliveries.claims)

    play(work)


def test_what_cannot_be_begun_within_its_lease_is_released() -> None:
    async def work() -> None:
        clock = Clock()

        async def slow(_: Delivery) -> Result:
            clock.now += 65
            return Sent()

        deliveries, sender = MemoryDeliveries(), ScriptedSender(slow, timeout=30.0, concurrency=1)
        deliveries.add(2)

        async with running(sender, deliveries, clock=clock):
            await deliveries.until(lambda: len(deliveries.released) + len(deliveries.reported) == 2)

        assert deliveries.reported == [("m0", Sent())]
        assert deliveries.released == ["m1"]

    play(work)


def test_a_stop_completes_what_has_begun_and_releases_the_rest() -> None:
    async def work() -> None:
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def wait(_: Delivery) -> Result:
            begun.set()
            await go_on.wait()
            return Sent()

        deliveries, sender = MemoryDeliveries(), ScriptedSender(wait, concurrency=2)
        deliveries.add(10)

        async with running(sender, deliveries) as loop:
            await begun.wait()
            loop.stop()
            await deliveries.until(lambda: bool(deliveries.released))
            assert deliveries.reported == []
            go_on.set()

        assert dict(deliveries.reported) == {"m0": Sent(), "m1": Sent()}
        assert sorted(deliveries.released) == ["m2", "m3"]
        assert [each.id for each in deliveries.waiting] == [f"m{number}" for number in range(4, 10)]

    play(work)


def test_an_outage_uses_up_few_attempts() -> None:
    async def work() -> None:
        clock, observer = Clock(), Observer()
        results: list[Result] = [OUTAGE] * 4

        async def scripted(_: Delivery) -> Result:
            return results.pop() if results else Sent()

        deliveries, sender = MemoryDeliveries(), ScriptedSender(scripted, concurrency=4)
        deliveries.add(20)

        async with running(sender, deliveries, observer=observer, clock=clock) as loop:
            # those on their way fail, those that wait are released, and nothing is claimed
            await deliveries.until(lambda: len(deliveries.reported) == 4 and len(deliveries.released) == 4)
            assert works(loop) is False
            claims = len(deliveries.claims)
            clock.now += 5
            deliveries.add(1)
            while len(deliveries.reported) < 5:  # the loop looks at its clock once a pause of its own has ended
                await asyncio.sleep(0.01)
            await deliveries.until(lambda: len(deliveries.reported) == 17)
            assert deliveries.claims[claims][0] == 1  # one to try with
            assert works(loop) is True

        assert observer.events == ["paused", "resumed"]

    play(work)


def test_an_outage_is_as_long_as_the_other_side_asks_but_bounded() -> None:
    async def work() -> None:
        observer = Observer()
        deliveries = MemoryDeliveries()
        deliveries.add(1)

        async def busy(_: Delivery) -> Result:
            return Failed(reason="busy", outage=True, retry_after=86_400.0)

        async with running(ScriptedSender(busy), deliveries, observer=observer):
            await deliveries.until(lambda: bool(deliveries.reported))

        assert observer.events == ["paused 900"]

    play(work)


def test_a_channel_that_is_stopped_claims_nothing_more() -> None:
    async def work() -> None:
        observer, gone = Observer(), Failed(reason="gone", permanent=True, stops=True)
        deliveries = MemoryDeliveries()
        deliveries.add(9)

        async def stops(_: Delivery) -> Result:
            return gone

        async with running(ScriptedSender(stops, concurrency=1), deliveries, observer=observer) as loop:
            await deliveries.until(lambda: bool(deliveries.released))
            assert not loop.works

        assert deliveries.reported == [("m0", gone)]
        assert deliveries.released == ["m1"]
        assert len(deliveries.waiting) == 7
        assert observer.events == ["stopped"]

    play(work)


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (
            Unrenderable("template a.liquid:3: x is missing"),
            Failed(reason="template a.liquid:3: x is missing", permanent=True),
        ),
        (ValueError("ann@example.com"), Failed(reason="rendering failed unexpectedly (ValueError)")),
    ],
)
def test_an_error_in_a_template_is_a_result(error: Exception, result: Result, caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        def render(_: Delivery) -> Content:
            raise error

        deliveries, sender = MemoryDeliveries(), ScriptedSender(sent)
        deliveries.add(1)

        async with running(sender, deliveries, render=render):
            await deliveries.until(lambda: bool(deliveries.reported))

        assert deliveries.reported == [("m0", result)]
        assert sender.contents == []

    play(work)
    assert "ann@example.com" not in caplog.text


def test_an_error_of_a_sender_is_a_result_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        async def fails(taken: Delivery) -> Result:
            raise ValueError(taken.address)

        deliveries = MemoryDeliveries()
        deliveries.add(1)

        async with running(ScriptedSender(fails), deliveries):
            await deliveries.until(lambda: bool(deliveries.reported))

        assert deliveries.reported == [("m0", Failed(reason="the sender failed unexpectedly (ValueError)"))]

    with caplog.at_level(logging.INFO):
        play(work)
    assert "failed unexpectedly (ValueError)" in caplog.text
    assert "ann@example.com" not in caplog.text


def test_a_result_is_kept_until_the_database_has_taken_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_loop, "_RETRY", Backoff(first=0.001, longest=0.001))

    async def work() -> None:
        deliveries = MemoryDeliveries()
        deliveries.add(1)
        tried = asyncio.Event()

        async def away(_: Delivery) -> Result:
            deliveries.is_away = True
            tried.set()
            return Sent()

        async with running(ScriptedSender(away), deliveries) as loop:
            await tried.wait()
            while loop.works:
                await asyncio.sleep(0.001)
            deliveries.is_away = False
            await deliveries.until(lambda: bool(deliveries.reported))

        assert deliveries.reported == [("m0", Sent())]

    play(work)
