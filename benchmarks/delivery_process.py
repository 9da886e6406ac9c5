"""What `rollbook deliver` handles in a second: with reports in batches, and one by one as it was before.

    python -m benchmarks.delivery_process [--rounds 5] [--messages 2000] [--json]

In one durable Postgres, started here. In each round the loop of a channel delivers the same number of messages with
each way of reporting, in random order, to a sender that takes 5 ms for each, 32 at a time. Beside each rate is the
processor time of this process and of Postgres, in microseconds a message.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import psycopg
from benchmarks.delivery_rates import BATCH, REGISTRY, database, identify_users, processor_seconds, triggers_of

from rollbook import AsyncRollbook
from rollbook.models import Content, Delivery
from rollbook_delivery.process.channel_loop import ChannelLoop
from rollbook_delivery.process.client_queue import ClientQueue, report_of
from rollbook_delivery.process.observer import ChannelObserver
from rollbook_delivery.results import Result, Sent
from rollbook_ops.devstack import Servers
from rollbook_shared.registry import parse_registry
from rollbook_worker.store import PostgresStore

CHANNEL: Final = "mail"
SEND_SECONDS: Final = 0.005
SIZE: Final = 10


class OneByOne(ClientQueue):
    """Reports each delivery in a transaction of its own."""

    async def report(self, delivery: Delivery, result: Result) -> None:
        await self._client.deliveries.report([report_of(delivery, result)])


class _Sender:
    timeout = 10.0
    concurrency = 32

    def __init__(self, messages: int) -> None:
        self._left = messages
        self.done = asyncio.Event()

    async def prepare(self) -> None:
        pass

    async def send(self, delivery: Delivery, content: Content | None) -> Result:
        await asyncio.sleep(SEND_SECONDS)
        self._left -= 1
        if not self._left:
            self.done.set()
        return Sent()

    async def aclose(self) -> None:
        pass


QUEUES: Final[dict[str, type[ClientQueue]]] = {"in batches": ClientQueue, "one by one": OneByOne}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=2_000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with Servers(durable=True) as servers, tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(REGISTRY)
        file.flush()
        url = database(servers.database_url, "process")
        store = PostgresStore(url, registry=lambda: parse_registry(REGISTRY))
        identify_users(store)
        with psycopg.connect(url) as connection:
            postmaster = int(Path(f"/proc/{connection.info.backend_pid}/stat").read_text().split()[3])
        rates: dict[str, list[float]] = {name: [] for name in QUEUES}
        costs: dict[str, list[float]] = {name: [] for name in QUEUES}
        for round_ in range(given.rounds + 1):
            for name in random.sample(list(QUEUES), len(QUEUES)):
                for _ in range(given.messages // (BATCH * SIZE)):
                    store.apply(list(triggers_of(SIZE)))
                used, begin = processor_seconds(postmaster), time.perf_counter()
                asyncio.run(_deliver(QUEUES[name], url, servers.broker_url, file.name, given.messages))
                if round_:  # the first warms up
                    rates[name].append(given.messages / (time.perf_counter() - begin))
                    costs[name].append(1e6 * (processor_seconds(postmaster) - used) / given.messages)
        store.close()
    figures: dict[str, Any] = {
        name: {"per_second": statistics.median(rates[name]), "processor_us": statistics.median(costs[name])}
        for name in QUEUES
    }
    load = os.getloadavg()[0]
    if given.json:
        print(json.dumps({"rounds": given.rounds, "reports": figures, "load": load}))
        return
    for name, found in figures.items():
        rate, cost = found["per_second"], found["processor_us"]
        print(f"reports {name}: {rate:,.0f} messages/s, {cost:,.0f} us of a processor each")
    print(f"load of the machine in the last minute: {load:.1f}")


async def _deliver(queue: type[ClientQueue], url: str, broker_url: str, registry: str, messages: int) -> None:
    client = AsyncRollbook(database_url=url, broker_url=broker_url, registry=registry)
    sender, reports = _Sender(messages), queue(client)
    loop = ChannelLoop(CHANNEL, sender, reports, lambda _: None, ChannelObserver(CHANNEL, None))
    running = asyncio.create_task(loop.run())
    await sender.done.wait()
    loop.stop()
    await running
    await reports.aclose()


if __name__ == "__main__":
    main()
