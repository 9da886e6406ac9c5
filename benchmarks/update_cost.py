"""What an update of a user writes: WAL just after a checkpoint and later, and whether the row stays on its page.

    python -m benchmarks.update_cost [--users 200000] [--fillfactors 100,80,60] [--rounds 3] [--json]

After a checkpoint the first change of a page writes the whole page to the WAL. In each round the same random users get
new values for all ten keys three times: right after a checkpoint, then twice more. An update that finds room on its
row's page is *HOT*: it writes no index, and its old version is removed without vacuum. The table's fillfactor says how
much room a page keeps; Rollbook's is 80. The output has the medians of the rounds.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from itertools import count
from typing import Final

import psycopg
from benchmarks.store_contenders import Rollbook
from benchmarks.store_workloads import Batch, jobs_of, traits_of, user_id
from rich.console import Console
from rich.table import Table

from rollbook_ops.devstack import Servers
from rollbook_shared.jobs.codec import encode

UPDATED_USERS: Final = 4_000
"""Users that are updated."""
TRANSACTION_USERS: Final = 200
"""Users in one transaction, as in a worker."""
_WHEN: Final = ("right after a checkpoint", "again", "and again")
_versions: Final = count(1)

Figures = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.update_cost", description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=200_000, help="users in the table (200,000)")
    parser.add_argument("--fillfactors", default="100,80,60", help="of the table, in percent (100,80,60)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds for each fillfactor (3)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    given = parser.parse_args()
    found: dict[str, Figures] = {}
    with Servers(durable=True) as servers:
        for fillfactor in given.fillfactors.split(","):
            contender = Rollbook(servers.database_url, 1, f"fillfactor_{fillfactor}")
            found[fillfactor] = _measure(contender, int(fillfactor), given.users, given.rounds)
            contender.close()
    print(json.dumps(found)) if given.json else _show(found)


def _measure(contender: Rollbook, fillfactor: int, users: int, rounds: int) -> Figures:
    with psycopg.connect(contender.url, autocommit=True) as connection:
        connection.execute(f"ALTER TABLE rollbook.users SET (fillfactor = {fillfactor})".encode())
        contender.load(0, users)
        bytes_per_user = _number(connection, "SELECT pg_table_size('rollbook.users')") / users
        wal: dict[str, list[float]] = {when: [] for when in _WHEN}
        for _ in range(rounds):
            updates = random.sample(range(users), UPDATED_USERS)
            connection.execute("CHECKPOINT")
            for when in _WHEN:
                wal[when].append(contender.run(_updates(updates)).wal_bytes / UPDATED_USERS)
        return {
            "table, bytes per user": bytes_per_user,
            **{f"WAL bytes, {when}": statistics.median(those) for when, those in wal.items()},
            "HOT, percent": 100 * _hot(connection),
        }


def _updates(numbers: list[int]) -> list[Batch]:
    """Give these users new values for all keys."""
    version, at = next(_versions), time.time_ns() // 1_000
    rows = [(user_id(number), traits_of(number, version)) for number in numbers]
    messages = [encode(job) for job in jobs_of(rows, 1, at)]
    return [
        Batch(messages[start : start + TRANSACTION_USERS], []) for start in range(0, len(messages), TRANSACTION_USERS)
    ]


def _hot(connection: psycopg.Connection) -> float:
    return _number(
        connection,
        "SELECT n_tup_hot_upd::float / n_tup_upd FROM pg_stat_all_tables WHERE relid = 'rollbook.users'::regclass",
    )


def _number(connection: psycopg.Connection, query: str) -> float:
    (number,) = connection.execute(query.encode()).fetchone() or (0,)
    return float(number)


def _show(found: dict[str, Figures]) -> None:
    names = list(next(iter(found.values())))
    table = Table("fillfactor", *names)
    for fillfactor, figures in found.items():
        table.add_row(fillfactor, *(f"{figures[name]:,.0f}" for name in names))
    Console().print(table)


if __name__ == "__main__":
    main()
