"""What hash partitioning would gain: the store with plain and with partitioned tables, side by side.

    python -m benchmarks.partitioning [--users 1000000] [--partitions 16] [--rounds 5] [--threads 2] [--json]

Rollbook does not partition its tables. Here `users` and `jobs` are recreated with partitions by the hash of the id,
which needs no change of the store: its statements name the same tables. Both variants apply the same transactions in
turn on one durable Postgres that is started here. The output has the medians of the rounds.

Merges are of random users, and the workload `cluster` updates the members of such clusters. A cluster has no partition
of its own: its ids stay where they are, so with N partitions two ids share one with a probability of 1/N. At the end
each table is vacuumed completely, partition by partition, to find the longest vacuum that cannot be split.
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
from benchmarks.store_contenders import Rollbook
from benchmarks.store_workloads import WORKLOADS, Batch, batches, user_id
from rich.console import Console
from rich.table import Table

from rollbook_ops.devstack import Servers
from rollbook_shared.domain.stamps import new_job_id
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Merge

TRANSACTION_USERS: Final = 200
"""Users in one transaction, as in a worker."""
TRANSACTIONS: Final = 20
MERGES: Final = 100
"""Merges, ten in one transaction."""

_VIEWS: Final = """
SELECT format('CREATE VIEW rollbook.%I AS %s', relname, pg_get_viewdef(oid))
FROM pg_class
WHERE relnamespace = 'rollbook'::regnamespace AND relkind = 'v'
ORDER BY oid
"""
_PARTITION: Final = """
ALTER TABLE rollbook.{table} RENAME TO {table}_plain;
CREATE TABLE rollbook.{table} (LIKE rollbook.{table}_plain INCLUDING ALL) PARTITION BY HASH (id);
"""
_LEAF: Final = """
CREATE TABLE rollbook.{table}_{number} PARTITION OF rollbook.{table}
FOR VALUES WITH (MODULUS {partitions}, REMAINDER {number}) WITH ({parameters})
"""
_MOVE: Final = """
INSERT INTO rollbook.{table} ({columns}) SELECT {columns} FROM rollbook.{table}_plain;
DROP TABLE rollbook.{table}_plain CASCADE;
"""
_PARAMETERS: Final = {"users": "fillfactor = 80", "jobs": "fillfactor = 100"}

_STORED_COLUMNS = """
SELECT string_agg(quote_ident(column_name), ', ')
FROM information_schema.columns
WHERE table_schema = 'rollbook' AND table_name = %(table)s AND is_generated = 'NEVER'
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
        contenders = {
            "plain": Rollbook(servers.database_url, given.threads, "plain"),
            "partitioned": Rollbook(servers.database_url, given.threads, "partitioned"),
        }
        partition(contenders["partitioned"].url, given.partitions)
        for contender in contenders.values():
            contender.load(0, given.users)
            contender.merge_pairs()
        found = {
            **{
                f"{workload}, users/s": _rates(contenders, given.rounds, _updates(workload, given.users))
                for workload in ("new", "changed all keys", "unchanged", "cluster")
            },
            "merges/s": _rates(contenders, given.rounds, lambda: _merges(given.users)),
            "clusters over several partitions": {
                name: _spread_share(contender.url) for name, contender in contenders.items()
            },
            "longest vacuum of users, s": {
                name: _longest_vacuum(contender.url) for name, contender in contenders.items()
            },
        }
        for contender in contenders.values():
            contender.close()
    if given.json:
        print(json.dumps(found))
    else:
        _show(found)


def partition(url: str, partitions: int) -> None:
    """Recreate `users` and `jobs` with partitions and their rows. No other transaction may be running."""
    with psycopg.connect(url) as connection:
        views = [statement for (statement,) in connection.execute(_VIEWS)]
        for table, parameters in _PARAMETERS.items():
            connection.execute(_PARTITION.format(table=table).encode())
            for number in range(partitions):
                leaf = _LEAF.format(table=table, number=number, partitions=partitions, parameters=parameters)
                connection.execute(leaf.encode())
            ((columns,),) = connection.execute(_STORED_COLUMNS, {"table": table})
            connection.execute(_MOVE.format(table=table, columns=columns).encode())
        for statement in views:  # all of them read `users`, so they were dropped with the plain table
            connection.execute(statement.encode())


def _rates(contenders: dict[str, Rollbook], rounds: int, make: Callable[[], list[Batch]]) -> dict[str, float]:
    """Users per second of each variant: the median of the rounds. The first round warms up."""
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        updates = make()
        messages = sum(len(batch.messages) for batch in updates)
        for name in random.sample(sorted(contenders), len(contenders)):
            measured = contenders[name].run(updates)
            if number:
                taken[name].append(messages / measured.seconds)
    return {name: statistics.median(rates) for name, rates in taken.items()}


def _updates(workload: str, known: int) -> Callable[[], list[Batch]]:
    return lambda: batches(
        WORKLOADS[workload], known=known, users_per_job=1, users=TRANSACTION_USERS, times=TRANSACTIONS
    )


def _merges(known: int) -> list[Batch]:
    """Merges of random users, each user once."""
    picked = random.sample(range(known), 2 * MERGES)
    at = time.time_ns() // 1_000
    messages = [
        encode(Merge(id=new_job_id(at), occurred_at=at, primary_id=user_id(primary), secondary_id=user_id(secondary)))
        for primary, secondary in zip(picked[::2], picked[1::2], strict=True)
    ]
    return [Batch(messages[start : start + 10], []) for start in range(0, len(messages), 10)]


def _spread_share(url: str) -> float:
    """The share of clusters with members in several partitions."""
    with psycopg.connect(url) as connection:
        (share,) = connection.execute(
            "SELECT avg((partitions > 1)::integer) FROM ("
            "SELECT count(DISTINCT tableoid) AS partitions FROM rollbook.users"
            " WHERE cluster_root IS NOT NULL GROUP BY cluster_root) AS clusters"
        ).fetchone() or (0,)
        return float(share)


def _longest_vacuum(url: str) -> float:
    """Seconds to read and freeze every page of the largest partition of `users`, as an anti-wraparound vacuum does."""
    with psycopg.connect(url, autocommit=True) as connection:
        leaves = connection.execute("SELECT relid::text FROM pg_partition_tree('rollbook.users') WHERE isleaf")
        names = [name for (name,) in leaves] or ["rollbook.users"]
        return max(_vacuum(connection, leaf) for leaf in names)


def _vacuum(connection: psycopg.Connection, table: str) -> float:
    begin = time.perf_counter()
    connection.execute(f"VACUUM (FREEZE, DISABLE_PAGE_SKIPPING) {table}".encode())
    return time.perf_counter() - begin


def _show(found: dict[str, dict[str, float]]) -> None:
    table = Table("", "plain", "partitioned")
    for name, values in found.items():
        table.add_row(name, *(f"{values[column]:,.2f}" for column in ("plain", "partitioned")))
    Console().print(table)


if __name__ == "__main__":
    main()
