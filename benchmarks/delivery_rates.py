"""What deliveries cost, how many a second are claimed and reported, and how soon an idle sender has one.

    python -m benchmarks.delivery_rates [--rounds 9] [--senders 2] [--latencies 200] [--json]

In one durable Postgres, started here. In each round triggers are applied in batches of 100 to two databases, one whose
messages leave and one whose messages stay, in random order; the output has the median of the ratios. Then senders, a
thread each, claim what was made in batches of 100, and report it as sent. Beside each rate is the processor time that
this process and Postgres took, as messages in a second of two processors: other load of the machine affects that less.
At last an idle sender waits for one message after the other: see `delivery_latency.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from benchmarks import delivery_latency

from rollbook import DeliveryReport, Rollbook
from rollbook_ops.devstack import Servers
from rollbook_shared.domain.stamps import new_job_id
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Identify, Trigger, UserUpdate
from rollbook_shared.registry import Registry, parse_registry
from rollbook_worker.migrations import runner
from rollbook_worker.store import PostgresStore, ReceivedJob

REGISTRY = '[channels.mail]\ntype = "email"\ndelivery = "claim"\n'
USERS = 2_000
BATCH = 100
BATCHES = 10
RECIPIENTS = (1, 10)
_numbers = count()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--senders", type=int, default=2)
    parser.add_argument("--latencies", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with Servers(durable=True) as servers:
        urls = {name: database(servers.database_url, name) for name in ("stay", "leave")}
        registries = {"stay": Registry(), "leave": parse_registry(REGISTRY)}
        stores = {
            name: PostgresStore(url, registry=lambda name=name: registries[name])  # type: ignore[misc]
            for name, url in urls.items()
        }
        for store in stores.values():
            identify_users(store)
        with psycopg.connect(urls["leave"]) as connection:
            postmaster = int(Path(f"/proc/{connection.info.backend_pid}/stat").read_text().split()[3])
        triggers = {size: _trigger_rates(stores, size, given.rounds, postmaster) for size in RECIPIENTS}
        claims = _claim_rate(urls["leave"], given.senders, postmaster)
        for store in stores.values():
            store.close()
        latencies = _latencies(urls["leave"], servers.broker_url, given.latencies)
    load = os.getloadavg()[0]
    if given.json:
        figures = {"triggers": triggers, "claims": claims, "latencies": latencies, "load": load}
        print(json.dumps({"rounds": given.rounds, **figures}))
        return
    for size, found in triggers.items():
        print(
            f"triggers of {size}: {found['stay']:,.0f} messages/s, {found['ratio']:.2f} of it with deliveries; "
            f"by processor time {found['processor_ratio']:.2f}, {found['stay_microseconds']:.0f} µs a message and "
            f"{found['leave_microseconds']:.0f} with a delivery"
        )
    print(
        f"claimed and reported: {claims['per_second']:,.0f}/s, {claims['per_two_processors']:,.0f}/s of two processors"
    )
    for name, times in latencies.items():
        print(f"{name}: {times['p50']:.1f} ms after the commit, {times['p99']:.1f} ms at the 99th percentile")
    print(f"load of the machine in the last minute: {load:.1f}")


def _trigger_rates(stores: dict[str, PostgresStore], size: int, rounds: int, postmaster: int) -> dict[str, float]:
    rates: dict[str, list[float]] = {name: [] for name in stores}
    processor: dict[str, list[float]] = {name: [] for name in stores}
    for round_ in range(rounds + 1):
        for name in random.sample(list(stores), len(stores)):
            used = processor_seconds(postmaster)
            rate = _trigger_rate(stores[name], size)
            used = processor_seconds(postmaster) - used
            if round_:  # the first warms up
                rates[name].append(rate)
                processor[name].append(used)
    ratios = [leave / stay for leave, stay in zip(rates["leave"], rates["stay"], strict=True)]
    costs = [stay / leave for leave, stay in zip(processor["leave"], processor["stay"], strict=True)]
    messages = size * BATCH * BATCHES
    return {name: statistics.median(rates[name]) for name in rates} | {
        "ratio": statistics.median(ratios),
        "stay_microseconds": statistics.median(processor["stay"]) * 1e6 / messages,
        "leave_microseconds": statistics.median(processor["leave"]) * 1e6 / messages,
        "processor_ratio": statistics.median(costs),
    }


def _trigger_rate(store: PostgresStore, size: int) -> float:
    batches = [list(triggers_of(size)) for _ in range(BATCHES)]
    begin = time.perf_counter()
    for batch in batches:
        store.apply(batch)
    return size * BATCH * BATCHES / (time.perf_counter() - begin)


def triggers_of(size: int) -> Iterator[ReceivedJob]:
    for _ in range(BATCH):
        now = time.time_ns() // 1_000
        first = next(_numbers) * size
        recipients = tuple(f"user-{(first + number) % USERS}" for number in range(size))
        yield ReceivedJob.of(
            encode(
                Trigger(
                    id=new_job_id(now),
                    occurred_at=now,
                    workflow="comment",
                    recipients=recipients,
                    actor=None,
                    channels=("email",),
                    data={"page": first},
                )
            )
        )


def _claim_rate(url: str, senders: int, postmaster: int) -> dict[str, float]:
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(REGISTRY)
        file.flush()
        begin, used = time.perf_counter(), processor_seconds(postmaster)
        with Rollbook(database_url=url, registry=file.name) as rb, ThreadPoolExecutor(senders) as pool:
            total = sum(pool.map(lambda _: _send_all(rb), range(senders)))
            used = processor_seconds(postmaster) - used
        return {
            "deliveries": total,
            "per_second": total / (time.perf_counter() - begin),
            "per_two_processors": 2 * total / used,
        }


def _latencies(url: str, broker_url: str, count: int) -> dict[str, Any]:
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(REGISTRY)
        file.flush()
        user_ids = [f"user-{number}" for number in range(USERS)]
        return delivery_latency.measure(url, broker_url, file.name, user_ids, count)


def _send_all(rb: Rollbook) -> int:
    total = 0
    while claimed := rb.deliveries.claim("mail", limit=BATCH):
        rb.deliveries.report(
            DeliveryReport(id=delivery.id, claim=delivery.claim, outcome="sent") for delivery in claimed
        )
        total += len(claimed)
    return total


def processor_seconds(postmaster: int) -> float:
    """What this process, and all processes of Postgres that live, have used so far."""
    nanoseconds = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rpartition(")")[2].split()[1]) == postmaster:
                nanoseconds += int((stat.parent / "schedstat").read_text().split()[0])
        except OSError:  # it has ended
            continue
    return time.process_time() + nanoseconds / 1e9


def identify_users(store: PostgresStore) -> None:
    for first in range(0, USERS, BATCH):
        now = time.time_ns() // 1_000
        jobs = []
        for number in range(first, first + BATCH):
            traits: dict[str, Any] = {"email": f"u{number}@example.com", "name": "Ann Example", "plan": "pro"}
            user = UserUpdate(id=f"user-{number}", traits=traits)
            jobs.append(ReceivedJob.of(encode(Identify(id=new_job_id(now), occurred_at=now - 1_000_000, user=user))))
        store.apply(jobs)


def database(server_url: str, name: str) -> str:
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE delivery_rates_{name}".encode())
    url = urlsplit(server_url)._replace(path=f"/delivery_rates_{name}").geturl()
    runner.migrate(url)
    return url


if __name__ == "__main__":
    main()
