"""What PgBouncer in transaction mode costs: a batch, a job by itself and a read, direct and by way of it.

    ./run python -m benchmarks.pooler_cost [--rounds 5]

The `pgbouncer` on the PATH is started, before a Postgres of this run. The ways take turns. With PgBouncer 1.21 or newer
one way prepares statements.
"""

from __future__ import annotations

import argparse
import statistics
import time
from contextlib import ExitStack
from itertools import count
from typing import Final

from tests.support.builders import identify
from tests.support.databases import migrate
from tests.support.sessions.pgbouncer import KEEPS_STATEMENTS, running_pgbouncer, version

from rollbook import Rollbook
from rollbook_ops.devstack import Servers
from rollbook_shared.jobs.codec import encode
from rollbook_worker.store import PostgresStore, ReceivedJob

USERS: Final = 5_000
BATCH: Final = 200
BATCHES: Final = 30
SINGLE_JOBS: Final = 300
READS: Final = 500
SESSIONS: Final = 4
_numbers: Final = count()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds: int = parser.parse_args().rounds
    with ExitStack() as undo:
        servers = undo.enter_context(Servers(durable=False))
        direct = servers.database_url
        migrate(direct)
        pooler = undo.enter_context(running_pgbouncer(direct, pool_size=SESSIONS, ignore_startup_parameters="options"))
        ways = {"direct": direct, "pooled": pooler.before(direct)}
        if version() >= KEEPS_STATEMENTS:
            ways["pooled, prepared"] = f"{pooler.before(direct)}?prepare_threshold=5"
        fill(direct)
        found: dict[str, list[list[float]]] = {way: [] for way in ways}
        for _ in range(rounds):
            for way, url in ways.items():
                found[way].append(measure(url))
    print(f"PgBouncer {'.'.join(map(str, version()))}, milliseconds: batch of {BATCH}, a job by itself, a read")
    for way, rows in found.items():
        print(f"{way:20}", *(f"{statistics.median(column):8.2f}" for column in zip(*rows, strict=True)))


def fill(url: str) -> None:
    store = PostgresStore(url)
    store.apply([job(number) for number in range(USERS)])
    store.close()


def job(user: int) -> ReceivedJob:
    number = next(_numbers)
    return ReceivedJob.of(
        encode(identify(f"u{user % USERS}", at=1, job=f"j{number}", plus=number, a=1, b="x", c=number))
    )


def measure(url: str) -> list[float]:
    """The medians, in milliseconds."""
    store = PostgresStore(url)
    took: list[list[float]] = []
    for size, times in ((BATCH, BATCHES), (1, SINGLE_JOBS)):
        took.append([])
        for turn in range(times):
            jobs = [job(turn * size + number) for number in range(size)]
            begun = time.perf_counter()
            store.apply(jobs)
            took[-1].append(time.perf_counter() - begun)
    store.close()
    took.append([])
    with Rollbook(database_url=url) as rb:
        for number in range(READS):
            begun = time.perf_counter()
            rb.users.get(f"u{number}")
            took[-1].append(time.perf_counter() - begun)
    return [statistics.median(times) * 1000 for times in took]


if __name__ == "__main__":
    main()
