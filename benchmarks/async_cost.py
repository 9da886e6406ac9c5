"""What a call costs in processor time: each of `AsyncRollbook` beside the same call of `Rollbook`, in one run.

    python benchmarks/async_cost.py [--rounds 30] [--json]

Both clients use a Valkey and a Postgres that are started here. In each round every call is made a few hundred times,
one after the other, by both clients in turn. Processor time is that of this process alone, so that neither the servers
nor other load of the machine count. Buffered calls count with the sending of the bulk jobs. The output has the medians
of the rounds, and the median of the ratios within a round. *At once* are the calls of the asynchronous client in one
`asyncio.gather`, beside the same calls one after the other by `Rollbook`.

`import` is the time to import each client in a new interpreter.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final

from rollbook import AsyncRollbook, Rollbook
from rollbook_ops.devstack import Servers
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Identify, UserUpdate
from rollbook_worker.migrations.runner import migrate
from rollbook_worker.store import PostgresStore, ReceivedJob

GOAL: Final = 1.3
TRAITS: Final = {"email": "ann@example.com", "name": "Ann", "plan": "pro", **{f"key_{n}": "x" * 20 for n in range(7)}}
AT_ONCE: Final = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """A call of both clients."""

    name: str
    count: int
    blocking: Callable[[], object]
    awaited: Callable[[], Awaitable[object]]
    flush: Callable[[], object] | None = None
    """What sends the rest, if the calls do not."""
    async_flush: Callable[[], Awaitable[object]] | None = None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with prepared_servers() as servers:
        figures = asyncio.run(measure(servers, given.rounds))
    figures["import rollbook"] = [import_seconds("import rollbook") for _ in range(5)]
    figures["import AsyncRollbook"] = [import_seconds("from rollbook import AsyncRollbook") for _ in range(5)]
    report(figures, as_json=given.json)


@contextmanager
def prepared_servers() -> Iterator[Servers]:
    """Servers with one user."""
    with Servers(durable=False) as servers:
        migrate(servers.database_url)
        job = Identify(id="seed", occurred_at=time.time_ns() // 1_000, user=UserUpdate(id="ann", traits=TRAITS))
        PostgresStore(servers.database_url).apply([ReceivedJob.of(encode(job))], now=time.time_ns() // 1_000)
        yield servers


async def measure(servers: Servers, rounds: int) -> dict[str, list[float]]:
    """The processor seconds of each call in each round, by its name."""
    broker_url, database_url = servers.broker_url, servers.database_url
    figures: dict[str, list[float]] = {}
    with ExitStack() as to_close:
        rb = to_close.enter_context(Rollbook(broker_url=broker_url, database_url=database_url))
        buffered = to_close.enter_context(rb.buffered())
        async with (
            AsyncRollbook(broker_url=broker_url, database_url=database_url) as async_rb,
            async_rb.buffered() as async_buffered,
        ):
            calls = [
                Call(
                    name="identify",
                    count=300,
                    blocking=lambda: rb.users.identify("ann", TRAITS),
                    awaited=lambda: async_rb.users.identify("ann", TRAITS),
                ),
                Call(
                    name="identify, buffered",
                    count=1_000,
                    blocking=lambda: buffered.users.identify("ann", TRAITS),
                    awaited=lambda: async_buffered.users.identify("ann", TRAITS),
                    flush=buffered.flush,
                    async_flush=async_buffered.flush,
                ),
                Call(
                    name="get",
                    count=200,
                    blocking=lambda: rb.users.get("ann"),
                    awaited=lambda: async_rb.users.get("ann"),
                ),
            ]
            for at in range(rounds + 1):
                for call in calls:
                    found = {
                        call.name: blocking_seconds(call),
                        f"async {call.name}": await awaited_seconds(call),
                        f"async {call.name}, at once": await at_once_seconds(call),
                    }
                    if at:  # the first round connects
                        for name, seconds in found.items():
                            figures.setdefault(name, []).append(seconds)
    return figures


def blocking_seconds(call: Call) -> float:
    begin = time.process_time()
    for _ in range(call.count):
        call.blocking()
    if call.flush is not None:
        call.flush()
    return (time.process_time() - begin) / call.count


async def awaited_seconds(call: Call) -> float:
    begin = time.process_time()
    for _ in range(call.count):
        await call.awaited()
    if call.async_flush is not None:
        await call.async_flush()
    return (time.process_time() - begin) / call.count


async def at_once_seconds(call: Call) -> float:
    begin = time.process_time()
    for _ in range(0, call.count, AT_ONCE):
        await asyncio.gather(*(call.awaited() for _ in range(AT_ONCE)))
    if call.async_flush is not None:
        await call.async_flush()
    return (time.process_time() - begin) / call.count


def import_seconds(statement: str) -> float:
    script = f"import time; begin = time.process_time(); {statement}; print(time.process_time() - begin)"
    return float(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout)


def report(figures: dict[str, list[float]], *, as_json: bool) -> None:
    """Print the medians, and of each asynchronous call the median of its ratios to the blocking one."""
    medians = {name: statistics.median(each) * 1e6 for name, each in figures.items()}
    ratios = {
        name: statistics.median(ours / theirs for ours, theirs in zip(each, figures[base], strict=True))
        for name, each in figures.items()
        if (base := name.removeprefix("async ").removesuffix(", at once")) != name
    }
    if as_json:
        print(json.dumps({"microseconds": medians, "of_blocking": ratios}))
        return
    print(f"{'processor time of a call':<34}{'us':>12}{'of Rollbook':>14}")
    for name, median in medians.items():
        ratio = f"{ratios[name]:>14.2f}" if name in ratios else ""
        print(f"{name:<34}{median:>12,.1f}{ratio}")
    print(f"goal: <= {GOAL} one after the other")


if __name__ == "__main__":
    main()
