"""What hash partitioning would bring: the store on its plain tables and on partitioned ones, side by side.

    python -m benchmarks.partitioning [--users 1000000] [--partitions 16] [--rounds 5] [--threads 2] [--json]

Rollcall does not partition its tables. Here `users` and the ledger of jobs are made anew, each in so many partitions by
the hash of the id, which needs no change to the store: its statements name the same tables. Both sides apply the same
transactions on one durable Postgres that is started here, in turns; shown are medians of the rounds. Merges are of
users picked at random, so of N partitions two users share one in a share of 1/N; told is how many did not.

A family has no partition of its own: an id would have to move when it joins one, and what was told under it as well.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable
from typing import Final

import psycopg
from benchmarks.store_sides import Rollcall
from benchmarks.store_workloads import WORKLOADS, Batch, batches, user_id
from rich.console import Console
from rich.table import Table

from rollcall.local import Servers
from rollcall_shared.codec import encode
from rollcall_shared.jobs import Merge, Trigger
from rollcall_shared.stamps import new_job_id
from rollcall_worker.store import Arrival

TRANSACTION_USERS: Final = 200
"""As many as a worker puts into one."""
TRANSACTIONS: Final = 20
MERGES: Final = 100
"""In one transaction each ten."""

_PARTITION: Final = """
ALTER TABLE rollcall.{table} RENAME TO {table}_plain;
CREATE TABLE rollcall.{table} (LIKE rollcall.{table}_plain INCLUDING DEFAULTS, PRIMARY KEY (id)) PARTITION BY HASH (id);
DROP TABLE rollcall.{table}_plain CASCADE;
"""
_INDEXES: Final = """
CREATE INDEX users_family ON rollcall.users (family) WHERE family IS NOT NULL;
CREATE INDEX jobs_skipped ON rollcall.jobs USING gin ((detail -> 'skipped')) WHERE detail ? 'skipped';
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.partitioning", description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=1_000_000, help="users in the table (1,000,000)")
    parser.add_argument("--partitions", type=int, default=16, help="partitions of each table (16)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each measurement (5)")
    parser.add_argument("--threads", type=int, default=2, help="transactions at once (2)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    given = parser.parse_args()
    with Servers(durable=True) as servers:
        sides = {
            "plain": Rollcall(servers.database_url, given.threads, "plain"),
            "partitioned": Rollcall(servers.database_url, given.threads, "partitioned"),
        }
        _partition(sides["partitioned"].url, given.partitions)
        for side in sides.values():
            side.load(0, given.users)
        found = {
            "bytes_a_user": {name: _bytes(side.url, "users") / given.users for name, side in sides.items()},
            **{
                f"{workload} users/s": _rates(sides, given.rounds, _telling(workload, given.users))
                for workload in ("new", "changed all keys", "unchanged")
            },
            "merges/s": _rates(sides, given.rounds, lambda: _merging(given.users)),
            "bytes_a_message": {"plain": _bytes_a_message(sides["plain"])},
            "bytes_a_job": {name: _per_row(side.url, "jobs") for name, side in sides.items()},
            "crossing": {"partitioned": _crossing(sides["partitioned"].url), "1 - 1/N": 1 - 1 / given.partitions},
        }
        for side in sides.values():
            side.close()
    if given.json:
        print(json.dumps(found))
    else:
        _show(found)


def _partition(url: str, partitions: int) -> None:
    with psycopg.connect(url) as connection:
        for table in ("users", "jobs"):
            connection.execute(_PARTITION.format(table=table).encode())
            for number in range(partitions):
                fillfactor = " WITH (fillfactor = 80)" if table == "users" else ""
                connection.execute(
                    f"CREATE TABLE rollcall.{table}_{number} PARTITION OF rollcall.{table}"
                    f" FOR VALUES WITH (MODULUS {partitions}, REMAINDER {number}){fillfactor}".encode()
                )
        connection.execute(_INDEXES.encode())


def _rates(sides: dict[str, Rollcall], rounds: int, make: Callable[[], list[Batch]]) -> dict[str, float]:
    """Rows a second of each side: the median of the rounds, the first of which only warms up."""
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        told = make()
        rows = sum(len(batch.messages) for batch in told)
        for name in random.sample(sorted(sides), len(sides)):
            took = sides[name].run(told)
            if number:
                taken[name].append(rows / took.seconds)
    return {name: statistics.median(rates) for name, rates in taken.items()}


def _telling(workload: str, known: int) -> Callable[[], list[Batch]]:
    return lambda: batches(WORKLOADS[workload], known=known, users_a_job=1, users=TRANSACTION_USERS, times=TRANSACTIONS)


def _merging(known: int) -> list[Batch]:
    """Merges of users that were picked at random, each of a user once."""
    picked = random.sample(range(known), 2 * MERGES)
    at = time.time_ns() // 1_000
    messages = [
        encode(Merge(id=new_job_id(at), occurred_at=at, primary_id=user_id(primary), secondary_id=user_id(secondary)))
        for primary, secondary in zip(picked[::2], picked[1::2], strict=True)
    ]
    return [Batch(messages[start : start + 10], []) for start in range(0, len(messages), 10)]


def _bytes_a_message(side: Rollcall) -> float:
    """With its activity and its share of the trigger: twenty triggers for a thousand users each."""
    for _ in range(20):
        at = time.time_ns() // 1_000
        recipients = tuple(user_id(number) for number in range(1_000))
        trigger = Trigger(
            id=new_job_id(at), occurred_at=at, workflow="order-shipped", recipients=recipients, data={"order": "A-1017"}
        )
        side.store.apply([Arrival.of(encode(trigger))], now=at)
    tables = ("messages", "activities", "triggers")
    return sum(_bytes(side.url, table) for table in tables) / _number(
        side.url, "SELECT count(*) FROM rollcall.messages"
    )


def _crossing(url: str) -> float:
    """The share of families whose members are in several partitions."""
    return _number(
        url,
        "SELECT avg((partitions > 1)::integer) FROM ("
        "SELECT count(DISTINCT tableoid) AS partitions FROM rollcall.users WHERE family IS NOT NULL GROUP BY family"
        ") AS families",
    )


def _bytes(url: str, table: str) -> float:
    """Of a table with its indexes and what it stores out of line, partitions included."""
    return _number(
        url,
        f"SELECT pg_total_relation_size('rollcall.{table}') + coalesce(sum(pg_total_relation_size(inhrelid)), 0)"
        f" FROM pg_inherits WHERE inhparent = 'rollcall.{table}'::regclass",
    )


def _per_row(url: str, table: str) -> float:
    return _bytes(url, table) / _number(url, f"SELECT count(*) FROM rollcall.{table}")


def _number(url: str, query: str) -> float:
    with psycopg.connect(url) as connection:
        (number,) = connection.execute(query.encode()).fetchone() or (0,)
        return float(number)


def _show(found: dict[str, dict[str, float]]) -> None:
    table = Table("", *(columns := ("plain", "partitioned", "1 - 1/N")))
    for name, values in found.items():
        table.add_row(name, *(f"{values[column]:,.2f}" if column in values else "" for column in columns))
    Console().print(table)


if __name__ == "__main__":
    main()
