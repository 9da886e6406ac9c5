"""What a batch costs when its users lie in several buckets, each a Rollbook in a database of its own.

    python -m benchmarks.bucket_batches [--buckets 1,2,4,8,16] [--users 200] [--batches 40] [--rounds 5] [--json]

Rollbook has no buckets; here a batch of single identifies, half of them of known users, is divided by the hash of the
id, and each part is applied in a transaction of its own, one after the other. All databases are in one durable Postgres
that is started here. In each round each number of buckets has its turn, in random order; the output has the medians.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections import defaultdict
from hashlib import blake2b
from typing import Final

import psutil
from benchmarks.store_contenders import Rollbook
from benchmarks.store_workloads import WORKLOADS, Batch, batches
from rich.console import Console
from rich.table import Table

from rollbook_ops.devstack import Servers
from rollbook_worker.store import ReceivedJob

KNOWN: Final = 10_000
_MICROSECONDS: Final = 1_000_000


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bucket_batches", description=__doc__.splitlines()[0])
    parser.add_argument("--buckets", default="1,2,4,8,16", help="numbers of buckets (1,2,4,8,16)")
    parser.add_argument("--users", type=int, default=200, help="users in a batch (200)")
    parser.add_argument("--batches", type=int, default=40, help="batches in a round (40)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds (5)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    given = parser.parse_args()
    numbers = [int(number) for number in given.buckets.split(",")]
    taken: dict[int, list[tuple[float, float]]] = {number: [] for number in numbers}
    with Servers(durable=True) as servers:
        stores = [Rollbook(servers.database_url, 1, f"bucket_{number}") for number in range(max(numbers))]
        for store in stores:
            store.load(0, KNOWN)
        for round_ in range(given.rounds + 1):
            for number in random.sample(numbers, len(numbers)):
                measured = _measure(stores[:number], _mixed(given.users, given.batches))
                if round_:  # the first warms up
                    taken[number].append(measured)
        for store in stores:
            store.close()
    found = {
        number: {"users/s": statistics.median(rates), "microseconds of processor": statistics.median(times)}
        for number, (rates, times) in ((number, zip(*pairs, strict=True)) for number, pairs in taken.items())
    }
    print(json.dumps(found)) if given.json else _show(found)


def _mixed(users: int, times: int) -> list[Batch]:
    """Batches of single identifies: half of the users are known, half are new."""
    half = {"known": KNOWN, "users_per_job": 1, "users": users // 2, "times": times}
    pairs = zip(batches(WORKLOADS["changed all keys"], **half), batches(WORKLOADS["new"], **half), strict=True)
    return [Batch(known.messages + new.messages, known.rows + new.rows) for known, new in pairs]


def _measure(stores: list[Rollbook], whole: list[Batch]) -> tuple[float, float]:
    """Users per second, and microseconds of processor time for a user, of this process and of Postgres."""
    divided = [_by_bucket(batch, len(stores)) for batch in whole]
    before, began = _processor_seconds(), time.perf_counter()
    for parts in divided:
        for number, messages in parts.items():
            stores[number].store.apply([ReceivedJob.of(message) for message in messages], now=time.time_ns() // 1_000)
    seconds, processor = time.perf_counter() - began, _processor_seconds() - before
    users = sum(len(batch.rows) for batch in whole)
    return users / seconds, processor / users * _MICROSECONDS


def _by_bucket(batch: Batch, buckets: int) -> dict[int, list[str]]:
    """The messages of a batch, by the bucket of their user."""
    parts: defaultdict[int, list[str]] = defaultdict(list)
    for message, (id_, _) in zip(batch.messages, batch.rows, strict=True):
        parts[int.from_bytes(blake2b(id_.encode(), digest_size=8).digest()) % buckets].append(message)
    return parts


def _processor_seconds() -> float:
    """Of this process and of those that it started."""
    here = psutil.Process()
    return sum(sum(process.cpu_times()[:2]) for process in (here, *here.children(recursive=True)))


def _show(found: dict[int, dict[str, float]]) -> None:
    names = list(next(iter(found.values())))
    table = Table("buckets", *names)
    for number, figures in found.items():
        table.add_row(str(number), *(f"{figures[name]:,.0f}" for name in names))
    Console().print(table)


if __name__ == "__main__":
    main()
