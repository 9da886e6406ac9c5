"""Whatever senders do, and however they die, each message ends in a final state, and none is handed over twice but
where a sender died between handing it over and reporting.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
from tests.support.builders import user
from tests.support.deliveries import DeliveryStore

from rollbook import AsyncRollbook
from rollbook.models import Content, Delivery
from rollbook_delivery.process import attempt
from rollbook_delivery.process.channel_loop import ChannelLoop
from rollbook_delivery.process.client_queue import ClientQueue
from rollbook_delivery.process.observer import ChannelObserver
from rollbook_delivery.results import Delivered, Failed, Result, Sent
from rollbook_shared import jobs

REGISTRY: Final = """
[channels.mail]
type = "email"
delivery = "webhook"
max_age = "30d"
"""
MESSAGES: Final = 60
FINAL: Final = {"sent", "delivered", "undeliverable"}
PERMANENT: Final = Failed(reason="rejected", permanent=True)


class Killed(BaseException):
    """The process dies here."""


class DyingQueue(ClientQueue):
    """The process that uses it dies before some of its reports; what it has handed over by then is noted."""

    def __init__(self, client: AsyncRollbook, rng: random.Random, unreported: Counter[str]) -> None:
        super().__init__(client)
        self._rng, self._unreported = rng, unreported
        self.is_dead = False

    async def report(self, delivery: Delivery, result: Result) -> None:
        if self.is_dead or self._rng.random() < 0.05:
            self.is_dead = True
            self._unreported[delivery.id] += isinstance(result, Sent | Delivered)
            raise Killed
        await super().report(delivery, result)

    async def release(self, deliveries: Sequence[Delivery]) -> None:
        if not self.is_dead:  # the dead release nothing
            await super().release(deliveries)


class UnreliableSender:
    """Hands over, fails, hangs, and says what is not so: that it failed, after it has handed over."""

    timeout = 0.05
    concurrency = 4

    def __init__(self, rng: random.Random, handed_over: Counter[str], lies: Counter[str]) -> None:
        self._rng, self._handed_over, self._lies = rng, handed_over, lies

    async def prepare(self) -> None: ...

    async def send(self, delivery: Delivery, content: Content | None) -> Result:
        fate = self._rng.random()
        if fate < 0.15:
            return Failed(reason="later")
        if fate < 0.2:
            return PERMANENT
        if fate < 0.25:
            await asyncio.Event().wait()
        self._handed_over[delivery.id] += 1
        if fate < 0.3:
            self._lies[delivery.id] += 1
            return Failed(reason="later")
        return Sent() if fate < 0.9 else Delivered()

    async def aclose(self) -> None: ...


@pytest.mark.parametrize("seed", range(2))
def test_each_message_ends_and_none_is_handed_over_twice(
    seed: int, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "RENDER_SECONDS", 5.0)
    (path := tmp_path / "registry.toml").write_text(REGISTRY)
    store = DeliveryStore(database_url)
    store.reset(REGISTRY)
    now = store.now()
    people = [user(f"user-{number}", email=f"user-{number}@example.com") for number in range(MESSAGES)]
    store.apply(
        *(jobs.Identify(id=f"i-{each.id}", occurred_at=now - 2, user=each) for each in people),
        jobs.Trigger.model_validate(
            {"id": "t", "occurred_at": now - 1, "workflow": "w", "actor": None, "channels": ("email",)}
            | {"recipients": tuple(each.id for each in people)}
        ),
    )
    rng = random.Random(seed)
    handed_over, lies, unreported = Counter[str](), Counter[str](), Counter[str]()

    async def live_and_die() -> None:
        """A process delivers until it dies, or until no delivery is left."""
        client = AsyncRollbook(database_url=database_url, registry=str(path))
        queue = DyingQueue(client, rng, unreported)
        sender = UnreliableSender(rng, handed_over, lies)
        loop = ChannelLoop("mail", sender, queue, lambda _: None, ChannelObserver("mail", None))
        task = asyncio.ensure_future(loop.run())
        while not queue.is_dead and has_work():
            await asyncio.sleep(0.01)
        loop.stop()
        await asyncio.gather(task, return_exceptions=True)
        await client.aclose()

    def has_work() -> bool:
        """Whether a delivery may be claimed now, or is."""
        waiting = "SELECT EXISTS (SELECT FROM rollbook.deliveries WHERE due_at <= now() OR state = 'claimed')"
        return store.connection.execute(waiting).fetchone() == (True,)

    def states() -> Counter[str]:
        return Counter(row["state"] for row in store.rows())

    for _ in range(400):
        if set(states()) <= FINAL:
            break
        asyncio.run(live_and_die())
        store.later(timedelta(hours=1))  # leases end, and what failed is due again

    found = states()
    assert set(found) <= FINAL
    assert sum(found.values()) == MESSAGES
    for row in store.rows():
        id_ = str(row["message_id"])
        excused = lies[id_] + unreported[id_]
        assert handed_over[id_] <= 1 + excused
        assert handed_over[id_] >= (row["state"] in ("sent", "delivered"))
    assert sum(unreported.values()) > 0
    store.close()
