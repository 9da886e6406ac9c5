"""What it costs to keep the status of every job: users per second of the store with and without the table `jobs`.

    python benchmarks/outcome_cost.py [--rounds 9] [--json]

Each variant of the table has its own database in one durable Postgres, started here. In each round all apply the same
number of new users, one after the other in random order, so that other load of the machine affects all of them. The
output has the medians of the rounds, and the median of the ratios within a round.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg import Cursor

from rollbook_ops.devstack import Servers
from rollbook_shared.domain.stamps import new_job_id
from rollbook_shared.errors import Undecodable
from rollbook_shared.job_states import JobState
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Identify, UserUpdate
from rollbook_worker.store import Outcome, PostgresStore, ReceivedJob

BATCHES = {1: 300, 100: 30}
"""Jobs in a batch -> batches in a round."""
_numbers = count()


class WithoutJobTable(PostgresStore):
    """Applies every job and records none."""

    def _apply(
        self, cursor: Cursor, arrivals: Sequence[ReceivedJob], now: int, roots: frozenset[str]
    ) -> tuple[list[Outcome], frozenset[str]]:
        jobs = [arrival.job for arrival in arrivals if not isinstance(arrival.job, Undecodable)]
        woken = self._write(cursor, jobs, now, roots)
        return [Outcome(job_id=job.id, kind=job.kind, state=JobState.APPLIED) for job in jobs], woken


METHODS: dict[str, tuple[type[PostgresStore], str]] = {
    "without the table": (WithoutJobTable, ""),
    "jobs": (PostgresStore, ""),
    "jobs, no index by age": (PostgresStore, "DROP INDEX rollbook.jobs_finished_at"),
    "jobs, BRIN index by age": (
        PostgresStore,
        "DROP INDEX rollbook.jobs_finished_at; CREATE INDEX by_age ON rollbook.jobs USING brin (finished_at)",
    ),
}
FLOOR = "without the table"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with Servers(durable=True) as servers:
        stores = {
            method: METHODS[method][0](_database(servers.database_url, number, METHODS[method][1]))
            for number, method in enumerate(METHODS)
        }
        figures = {size: _measure(stores, size, given.rounds) for size in BATCHES}
        for store in stores.values():
            store.close()
    if given.json:
        print(json.dumps({"rounds": given.rounds, "batches": figures}))
        return
    for size, methods in figures.items():
        print(f"batches of {size}:")
        for method, figure in methods.items():
            print(f"  {method:<26} {figure['users_per_second']:>8,.0f} users/s   {figure['ratio']:.2f} of without")


def _measure(stores: dict[str, PostgresStore], size: int, rounds: int) -> dict[str, dict[str, float]]:
    rates: dict[str, list[float]] = {method: [] for method in stores}
    for round_ in range(rounds + 1):
        for method in random.sample(list(stores), len(stores)):
            rate = _rate(stores[method], size)
            if round_:  # the first warms up
                rates[method].append(rate)
    return {
        method: {
            "users_per_second": statistics.median(rates[method]),
            "ratio": statistics.median(one / other for one, other in zip(rates[method], rates[FLOOR], strict=True)),
        }
        for method in stores
    }


def _rate(store: PostgresStore, size: int) -> float:
    batches = [list(_new_users(size)) for _ in range(BATCHES[size])]
    begin = time.perf_counter()
    for batch in batches:
        store.apply(batch, now=time.time_ns() // 1_000)
    return size * len(batches) / (time.perf_counter() - begin)


def _new_users(size: int) -> Iterator[ReceivedJob]:
    for _ in range(size):
        now, number = time.time_ns() // 1_000, next(_numbers)
        traits: dict[str, Any] = {
            "email": f"u{number}@example.com",
            "name": "Ann Example",
            "plan": "pro",
            "seats": number,
        }
        user = UserUpdate(id=f"user-{number:09}", traits=traits)
        yield ReceivedJob.of(encode(Identify(id=new_job_id(now), occurred_at=now, user=user)))


def _database(server_url: str, number: int, change: str) -> str:
    name = f"outcome_cost_{number}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    url = urlsplit(server_url)._replace(path=f"/{name}").geturl()
    environment = os.environ | {"ROLLBOOK_DATABASE_URL": url}
    subprocess.run(
        [sys.executable, "-m", "rollbook_worker.migrations"], env=environment, check=True, capture_output=True
    )
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in filter(None, change.split("; ")):
            connection.execute(statement.encode())
    return url


if __name__ == "__main__":
    main()
