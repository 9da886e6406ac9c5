"""What an update of a user writes: how much WAL just after a checkpoint and later, and whether it stays on its page.

    python -m benchmarks.updating [--users 200000] [--fillfactors 100,80,60] [--rounds 3] [--json]

After a checkpoint the first change of a page puts all of it into the WAL. The same users, picked by chance, are told
all ten keys anew three times a round: at once after a checkpoint, then again, then again. An update that finds room on
its row's page is *HOT*: it writes no index, and its old version is cleared away without vacuum. How much room a page
keeps for that is the table's fillfactor; Rollbook's is 80. Shown are medians of the rounds.
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
from benchmarks.store_sides import Rollbook
from benchmarks.store_workloads import Batch, jobs_of, traits_of, user_id
from rich.console import Console
from rich.table import Table

from rollbook_ops.devstack import Servers
from rollbook_shared.jobs.codec import encode

TOLD: Final = 4_000
"""Users that are told anew."""
TOGETHER: Final = 200
"""In one transaction, as a worker does."""
_TIMES: Final = ("at once after a checkpoint", "again", "and again")
_versions: Final = count(1)

Figures = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.updating", description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=200_000, help="users in the table (200,000)")
    parser.add_argument("--fillfactors", default="100,80,60", help="of the table, in percent (100,80,60)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each (3)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    given = parser.parse_args()
    found: dict[str, Figures] = {}
    with Servers(durable=True) as servers:
        for fillfactor in given.fillfactors.split(","):
            side = Rollbook(servers.database_url, 1, f"fillfactor_{fillfactor}")
            found[fillfactor] = _measure(side, int(fillfactor), given.users, given.rounds)
            side.close()
    print(json.dumps(found)) if given.json else _show(found)


def _measure(side: Rollbook, fillfactor: int, users: int, rounds: int) -> Figures:
    with psycopg.connect(side.url, autocommit=True) as connection:
        connection.execute(f"ALTER TABLE rollbook.users SET (fillfactor = {fillfactor})".encode())
        side.load(0, users)
        bytes_a_user = _number(connection, "SELECT pg_table_size('rollbook.users')") / users
        wal: dict[str, list[float]] = {when: [] for when in _TIMES}
        for _ in range(rounds):
            told = random.sample(range(users), TOLD)
            connection.execute("CHECKPOINT")
            for when in _TIMES:
                wal[when].append(side.run(_telling(told)).wal_bytes / TOLD)
        return {
            "table, bytes a user": bytes_a_user,
            **{f"WAL bytes, {when}": statistics.median(those) for when, those in wal.items()},
            "HOT, percent": 100 * _hot(connection),
        }


def _telling(numbers: list[int]) -> list[Batch]:
    """Tell these users all their keys anew."""
    version, at = next(_versions), time.time_ns() // 1_000
    rows = [(user_id(number), traits_of(number, version)) for number in numbers]
    messages = [encode(job) for job in jobs_of(rows, 1, at)]
    return [Batch(messages[start : start + TOGETHER], []) for start in range(0, len(messages), TOGETHER)]


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
