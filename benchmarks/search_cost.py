"""What the indexes that users are found by cost each write: processor time of Postgres and the worker, and WAL bytes.

    python -m benchmarks.search_cost [--users 20000] [--rounds 9] [--only new,known] [--json]

Each variant of the schema has a database of its own in one durable Postgres, started here. In each round all of them
apply the same users in bulk jobs of a hundred, ten jobs in a transaction, one variant after the other in random order.
Processor time is that of this process, which does what a worker does after it has a message, and of Postgres with all
its processes; so other load of the machine matters little. Neither autovacuum nor a checkpoint is among it: bytes of
WAL are those of a long import, in which most pages were written since the last checkpoint. The output has the medians
of the rounds, and the medians of the ratios to the schema without any of these indexes.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, Final, NamedTuple

import psutil
import psycopg
from benchmarks.bench.users import traits
from benchmarks.store_contenders import Rollbook
from benchmarks.store_workloads import Batch, Row, jobs_of
from rich.console import Console
from rich.table import Table

from rollbook_ops.devstack import Servers
from rollbook_shared.jobs.codec import encode
from rollbook_worker.migrations.optional_indexes import OPTIONAL_INDEXES, create_index

USERS_A_JOB: Final = 100
USERS_A_TRANSACTION: Final = 1_000
_NOTHING: Final = "nothing"
_KEY_COLUMNS: Final = """
ALTER TABLE rollbook.users
    DROP COLUMN email_hash,
    DROP COLUMN phone_number_hash,
    DROP COLUMN email_key,
    DROP COLUMN name_key,
    DROP COLUMN created_key
"""
_versions: Final = count(1)


class Cost(NamedTuple):
    """Of one user."""

    postgres: float
    """Microseconds of processor time."""
    worker: float
    wal: float
    """Bytes."""

    @property
    def both(self) -> float:
        """Microseconds of processor time."""
        return self.postgres + self.worker


def without_keys(url: str) -> None:
    """Remove what users are found by; `id` stays."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_KEY_COLUMNS.encode())


def with_indexes(*names: str) -> Callable[[str], None]:
    """A change of the database that creates these optional indexes."""

    def create(url: str) -> None:
        for name in names:
            create_index(url, name)

    return create


VARIANTS: Final[Mapping[str, Callable[[str], None]]] = {
    _NOTHING: without_keys,
    "e-mail": with_indexes(),
    **{f"... and {name}": with_indexes(name) for name in OPTIONAL_INDEXES},
    "... and both": with_indexes("prefix", "created_at"),
}
"""Each a change of the schema."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search_cost", description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=20_000, help="users in each round (20,000)")
    parser.add_argument("--rounds", type=int, default=9, help="rounds (9)")
    parser.add_argument("--only", default=",".join(WORKLOADS), help="some of: " + ", ".join(WORKLOADS))
    parser.add_argument("--variants", default=",".join(VARIANTS), help="some of: " + ", ".join(VARIANTS))
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    given = parser.parse_args()
    with Servers(durable=True) as servers:
        contenders = {
            name: Rollbook(servers.database_url, 1, f"search_{number}")
            for number, name in enumerate(given.variants.split(","))
        }
        with psycopg.connect(servers.database_url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET autovacuum = off")
            connection.execute("ALTER SYSTEM SET checkpoint_timeout = '1h'")
            connection.execute("ALTER SYSTEM SET max_wal_size = '64GB'")
            connection.execute("SELECT pg_reload_conf()")
        for name, contender in contenders.items():
            VARIANTS[name](contender.url)
        postgres = psutil.Process(servers.postgres.pid)
        found = {
            workload: _measure(contenders, postgres, WORKLOADS[workload], given.users, given.rounds)
            for workload in given.only.split(",")
        }
        for contender in contenders.values():
            contender.close()
    if given.json:
        print(
            json.dumps({workload: {name: _figures(costs, name) for name in costs} for workload, costs in found.items()})
        )
        return
    for workload, costs in found.items():
        _show(workload, costs)


def _measure(
    contenders: Mapping[str, Rollbook],
    postgres: psutil.Process,
    rows: Callable[[int], list[Row]],
    users: int,
    rounds: int,
) -> dict[str, list[Cost]]:
    costs: dict[str, list[Cost]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        batches = list(_batches(rows(users)))
        for name in random.sample(list(contenders), len(contenders)):
            before = _seconds(postgres), time.process_time()
            written = contenders[name].run(batches).wal_bytes
            after = _seconds(postgres), time.process_time()
            if number:  # the first warms up
                server, own = ((end - begin) / users * 1e6 for begin, end in zip(before, after, strict=True))
                costs[name].append(Cost(server, own, written / users))
    return costs


def _seconds(postgres: psutil.Process) -> float:
    """The processor time of Postgres' processes so far; psutil's own unit is a hundredth of a second."""
    total = 0
    for process in (postgres, *postgres.children(recursive=True)):
        with suppress(OSError, psutil.Error):
            total += int(Path(f"/proc/{process.pid}/schedstat").read_text(encoding="ascii").split()[0])
    return total / 1e9


def _batches(rows: Sequence[Row]) -> Iterator[Batch]:
    for start in range(0, len(rows), USERS_A_TRANSACTION):
        some = rows[start : start + USERS_A_TRANSACTION]
        yield Batch([encode(job) for job in jobs_of(some, USERS_A_JOB, time.time_ns() // 1_000)], [])


def _new(users: int) -> list[Row]:
    """Users who were not known, as in an import: each with an e-mail address, a phone number and `created_at`."""
    version = next(_versions)
    return [(f"new-{version:04}-{number:06}", _complete(number, version)) for number in range(users)]


def _benchmark(users: int) -> list[Row]:
    """Half of them new, half known, with the traits of `./run bench`: no phone number, no `created_at`."""
    version = next(_versions)
    half = users // 2
    known = [(f"known-{number:06}", traits(number, version)) for number in range(half)]
    new = [(f"half-{version:04}-{number:06}", traits(number, version)) for number in range(users - half)]
    return random.sample([*known, *new], users)


def _known(users: int) -> list[Row]:
    """Known users, with other values for all keys but those that they are found by."""
    version = next(_versions)
    return [(f"known-{number:06}", _complete(number, version)) for number in range(users)]


def _complete(number: int, version: int) -> dict[str, Any]:
    contact = {"phone_number": f"+1415{number:07}", "created_at": f"2026-01-01T00:00:00.{number:06}Z"}
    return {**traits(number, version), **contact}


WORKLOADS: Final[Mapping[str, Callable[[int], list[Row]]]] = {"new": _new, "known": _known, "benchmark": _benchmark}


def _figures(costs: Mapping[str, Sequence[Cost]], name: str) -> dict[str, float]:
    median = statistics.median
    pairs = list(zip(costs[name], costs[_NOTHING], strict=True))
    return {
        "postgres": median(cost.postgres for cost in costs[name]),
        "worker": median(cost.worker for cost in costs[name]),
        "wal": median(cost.wal for cost in costs[name]),
        "processor_ratio": median(cost.both / base.both for cost, base in pairs),
        "postgres_ratio": median(cost.postgres / base.postgres for cost, base in pairs),
        "wal_ratio": median(cost.wal / base.wal for cost, base in pairs),
    }


def _show(workload: str, costs: Mapping[str, Sequence[Cost]]) -> None:
    table = Table(workload, title="of one user: microseconds of processor time, bytes of WAL; times without indexes")
    for heading in ("Postgres", "worker", "WAL", "both, x", "Postgres, x", "WAL, x"):
        table.add_column(heading, justify="right")
    for name in costs:
        figures = _figures(costs, name)
        table.add_row(
            name,
            *(f"{figures[key]:,.1f}" for key in ("postgres", "worker", "wal")),
            *(f"{figures[key]:.3f}" for key in ("processor_ratio", "postgres_ratio", "wal_ratio")),
        )
    Console().print(table)


if __name__ == "__main__":
    main()
