"""How long after a worker's commit an idle sender has the delivery; part of `benchmarks/delivery_rates.py`.

A worker's store applies one trigger after the other, with pauses by chance, and publishes as a worker does. The sender
is a process of its own: the loop `claim_each` in threads or coroutines, or the loop of `rollbook deliver`. The time is
from the commit until the delivery is in the sender's hands.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from multiprocessing.connection import Connection
from typing import Any, Final

from rollbook import AsyncRollbook, Rollbook
from rollbook.models import Content, Delivery
from rollbook_delivery.process.channel_loop import ChannelLoop
from rollbook_delivery.process.client_queue import ClientQueue
from rollbook_delivery.process.observer import ChannelObserver
from rollbook_delivery.results import Result, Sent
from rollbook_shared.domain.stamps import new_job_id
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Job, Trigger
from rollbook_shared.registry import RegistryFile
from rollbook_worker.due_deliveries import DeliveryNotifier
from rollbook_worker.feed_changes import FeedNotifier
from rollbook_worker.store import PostgresStore, ReceivedJob

CHANNEL: Final = "mail"
PAUSES: Final = (0.02, 0.2)
"""Seconds between a hand-over and the next trigger: the sender is idle again."""
_WARM_UP: Final = 5
_ANSWER_SECONDS: Final = 60.0
_MILLISECONDS: Final = 1_000


def measure(database_url: str, broker_url: str, registry: str, user_ids: Sequence[str], count: int) -> dict[str, Any]:
    """Median and 99th percentile of each sender, in milliseconds. `registry` is a file's path."""
    found = {}
    for name, send in SENDERS.items():
        here, there = multiprocessing.Pipe()
        arguments = (send, database_url, broker_url, registry, there)
        sender = multiprocessing.get_context("spawn").Process(target=_run, args=arguments, daemon=True)
        sender.start()
        times = sorted(_times(database_url, broker_url, registry, user_ids, count, here))
        here.send("stop")
        sender.terminate()
        sender.join()
        found[name] = {
            "p50": _MILLISECONDS * statistics.median(times),
            "p99": _MILLISECONDS * times[min(len(times) - 1, round(0.99 * len(times)))],
        }
    return found


def _times(
    database_url: str, broker_url: str, registry: str, user_ids: Sequence[str], count: int, sender: Connection
) -> list[float]:
    latest = RegistryFile(registry).latest
    deliveries = DeliveryNotifier(broker_url, latest)
    committed_at = 0.0

    def on_committed(jobs: Sequence[Job]) -> None:
        nonlocal committed_at
        committed_at = time.monotonic()
        feeds.notify(jobs)
        deliveries.notify(jobs)

    postgres = PostgresStore(
        database_url, registry=latest, on_committed=on_committed, on_woken=deliveries.notify_channels
    )
    feeds = FeedNotifier(broker_url, postgres.find_recipients)
    times = []
    for number in range(_WARM_UP + count):
        now = time.time_ns() // 1_000
        job = Trigger(
            id=new_job_id(now),
            occurred_at=now,
            workflow="comment",
            recipients=(random.choice(user_ids),),
            actor=None,
            channels=("email",),
            data={"number": number},
        )
        postgres.apply([ReceivedJob.of(encode(job))])
        assert sender.poll(_ANSWER_SECONDS), "the sender got nothing"
        got, at = sender.recv()
        assert got == number, "the sender got another one"
        if number >= _WARM_UP:
            times.append(at - committed_at)
        time.sleep(random.uniform(*PAUSES))
    postgres.close()
    return times


def _run(
    send: Callable[[str, str, str, Connection], None], database_url: str, broker_url: str, registry: str, to: Connection
) -> None:
    send(database_url, broker_url, registry, to)


def _blocking(database_url: str, broker_url: str, registry: str, to: Connection) -> None:
    with Rollbook(database_url=database_url, broker_url=broker_url, registry=registry) as rb:
        for delivery in rb.deliveries.claim_each(CHANNEL):
            with rb.deliveries.attempt(delivery):
                to.send((delivery.data["number"], time.monotonic()))


def _coroutines(database_url: str, broker_url: str, registry: str, to: Connection) -> None:
    async def send() -> None:
        async with (
            AsyncRollbook(database_url=database_url, broker_url=broker_url, registry=registry) as rb,
            aclosing(rb.deliveries.claim_each(CHANNEL)) as deliveries,
        ):
            async for delivery in deliveries:
                async with rb.deliveries.attempt(delivery):
                    to.send((delivery.data["number"], time.monotonic()))

    asyncio.run(send())


class _Recorder:
    """A sender that only says when it got a message."""

    timeout = 10.0
    concurrency = 4

    def __init__(self, to: Connection) -> None:
        self._to = to

    async def prepare(self) -> None:
        pass

    async def send(self, delivery: Delivery, content: Content | None) -> Result:
        self._to.send((delivery.data["number"], time.monotonic()))
        return Sent()

    async def aclose(self) -> None:
        pass


def _process(database_url: str, broker_url: str, registry: str, to: Connection) -> None:
    async def deliver() -> None:
        client = AsyncRollbook(database_url=database_url, broker_url=broker_url, registry=registry)
        observer = ChannelObserver(CHANNEL, None)
        await ChannelLoop(CHANNEL, _Recorder(to), ClientQueue(client), lambda _: None, observer).run()

    asyncio.run(deliver())


SENDERS: Final = {"claim_each": _blocking, "claim_each in coroutines": _coroutines, "rollbook deliver": _process}
