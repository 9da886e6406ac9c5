"""Deliveries in memory, and a sender that does what a test says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

from tests.support.senders.deliveries import delivery

from rollbook.models import Content, Delivery
from rollbook_delivery.results import Result, Sent
from rollbook_shared.errors import Unavailable


@dataclass
class MemoryDeliveries:
    """A queue of deliveries. `reported` and `released` say what became of each."""

    waiting: list[Delivery] = field(default_factory=list)
    reported: list[tuple[str, Result]] = field(default_factory=list)
    released: list[str] = field(default_factory=list)
    claims: list[tuple[int, float]] = field(default_factory=list)
    """The limit and the lease of each."""
    is_away: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set at each report and release."""
    closed: bool = False

    def add(self, count: int) -> None:
        start = len(self.waiting)
        self.waiting += [replace(delivery(), id=f"m{start + number}") for number in range(count)]

    async def wait(self, channel: str, timeout: float) -> bool:
        self._check()
        if not self.waiting:
            await asyncio.sleep(0.005)
        return bool(self.waiting)

    async def claim(self, channel: str, *, limit: int, lease: float) -> Sequence[Delivery]:
        self._check()
        assert limit > 0
        self.claims.append((limit, lease))
        claimed, self.waiting = self.waiting[:limit], self.waiting[limit:]
        return claimed

    async def report(self, delivery: Delivery, result: Result) -> None:
        self._check()
        self.reported.append((delivery.id, result))
        self.changed.set()

    async def release(self, deliveries: Sequence[Delivery]) -> None:
        self._check()
        self.released += [each.id for each in deliveries]
        self.changed.set()

    async def aclose(self) -> None:
        self.closed = True

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self.changed.clear()
            await self.changed.wait()

    def _check(self) -> None:
        if self.is_away:
            raise Unavailable("the database is away")


@dataclass
class ScriptedSender:
    """Says what `result` gives for each delivery."""

    result: Callable[[Delivery], Awaitable[Result]]
    timeout: float = 30.0
    concurrency: int = 2
    closed: bool = False
    prepared: int = 0
    running: int = 0
    most_running: int = 0
    contents: list[Content | None] = field(default_factory=list)

    async def prepare(self) -> None:
        self.prepared += 1

    async def send(self, delivery: Delivery, content: Content | None) -> Result:
        assert not self.closed
        self.contents.append(content)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            return await self.result(delivery)
        finally:
            self.running -= 1

    async def aclose(self) -> None:
        self.closed = True


async def sent(_: Delivery) -> Result:
    return Sent()
