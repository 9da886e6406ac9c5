"""The store against bare upserts: users a second from message text to commit, and bytes of WAL a user.

    python -m benchmarks.store [--quick] [--rounds 7] [--users 10000,1000000] [--only new,late] [--threads 2] [--json]

Both sides do the same rows in the same transactions on one durable Postgres that is started here, one after the other
and in another order each round, so that whatever else the machine does falls on both. Shown are the medians of the
rounds, and the medians of the ratios within a round. With several threads (a worker has eight) each side applies that
many transactions at once; then the time of decoding cannot be told apart.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Final

from benchmarks.store_sides import Floor, Rollbook, Side, Took
from benchmarks.store_workloads import WORKLOADS, batches
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from rollbook_ops.devstack import Servers

USERS_A_ROUND: Final = 5_000
QUICK_USERS_A_ROUND: Final = 1_000
TABLE_WIDTH: Final = 110


@dataclass(frozen=True, slots=True)
class Cell:
    """What is measured: a workload, users in the table, users a job, users a transaction."""

    workload: str
    known: int
    users_a_job: int
    users: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Medians. `ratio` is users a second over the floor's; `applying` the same without decoding the messages."""

    floor_users_a_second: float
    users_a_second: float
    ratio: float
    applying: float
    floor_bytes: float
    bytes: float
    bytes_ratio: float


def main() -> None:
    given = _arguments()
    known = [int(users) for users in given.users.split(",")]
    sizes = (100, 1_000) if given.quick else (100, 1_000, 5_000)
    cells = [
        [
            Cell(workload, users, job, size)
            for workload in given.only.split(",")
            for job in (1, 100)
            for size in sizes
            if given.size is None or size in given.size
        ]
        for users in known
    ]
    rounds = given.rounds or (3 if given.quick else 7)
    with Servers(durable=True) as servers, _progress(sum(map(len, cells)) * rounds) as progress:
        sides = Floor(servers.database_url, given.threads), Rollbook(servers.database_url, given.threads)
        figures = dict(_measure(*sides, known, cells, rounds, given.quick, progress))
        for side in sides:
            side.close()
    if given.json:
        print(json.dumps([asdict(cell) | asdict(found) for cell, found in figures.items()]))
    else:
        console = Console()
        console.width = max(console.width, TABLE_WIDTH)
        console.print(_table(figures))


def _measure(
    floor: Floor,
    rollbook: Rollbook,
    known: list[int],
    cells: list[list[Cell]],
    rounds: int,
    quick: bool,
    progress: Progress,
) -> Iterator[tuple[Cell, Figures]]:
    rollbook.merge_pairs()
    step = progress.add_task("loading")
    for (before, users), these in zip(pairwise([0, *known]), cells, strict=True):
        progress.update(step, description=f"loading {users:,} users")
        floor.load(before, users)
        rollbook.load(before, users)
        for cell in these:
            progress.update(step, description=f"{cell.workload}, {users:,} known")
            times = max(1, (QUICK_USERS_A_ROUND if quick else USERS_A_ROUND) // cell.users)
            taken: list[tuple[Took, Took]] = []
            for round_ in range(rounds + 1):
                took = _round(floor, rollbook, cell, times)
                if round_:  # the first warms up
                    taken.append(took)
                    progress.advance(step)
            yield cell, _figures(taken, times * cell.users)


def _round(floor: Floor, rollbook: Rollbook, cell: Cell, times: int) -> tuple[Took, Took]:
    batch = batches(
        WORKLOADS[cell.workload], known=cell.known, users_a_job=cell.users_a_job, users=cell.users, times=times
    )
    sides: dict[str, Side] = {"floor": floor, "rollbook": rollbook}
    took = {name: sides[name].run(batch) for name in random.sample(list(sides), 2)}
    return took["floor"], took["rollbook"]


def _figures(taken: list[tuple[Took, Took]], users: int) -> Figures:
    median = statistics.median
    return Figures(
        floor_users_a_second=median(users / floor.seconds for floor, _ in taken),
        users_a_second=median(users / ours.seconds for _, ours in taken),
        ratio=median(floor.seconds / ours.seconds for floor, ours in taken),
        applying=median(floor.seconds / (ours.seconds - ours.decoding) for floor, ours in taken),
        floor_bytes=median(floor.wal_bytes / users for floor, _ in taken),
        bytes=median(ours.wal_bytes / users for _, ours in taken),
        bytes_ratio=median(ours.wal_bytes / floor.wal_bytes for floor, ours in taken),
    )


def _table(figures: dict[Cell, Figures]) -> Table:
    table = Table(title="the store against bare upserts (users/s, WAL bytes a user)")
    for heading in ("workload", "known", "a job", "a transaction"):
        table.add_column(heading)
    for heading in ("floor/s", "rollbook/s", "ratio", "applying", "floor B", "B", "B ratio"):
        table.add_column(heading, justify="right")
    for cell, found in figures.items():
        table.add_row(
            cell.workload,
            f"{cell.known:,}",
            str(cell.users_a_job),
            f"{cell.users:,}",
            f"{found.floor_users_a_second:,.0f}",
            f"{found.users_a_second:,.0f}",
            f"{found.ratio:.2f}",
            f"{found.applying:.2f}",
            f"{found.floor_bytes:,.0f}",
            f"{found.bytes:,.0f}",
            f"{found.bytes_ratio:.2f}",
        )
    return table


def _progress(total: int) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="under a minute: fewer and smaller transactions")
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--users", default="10000", help="in the table, ascending: 10000,1000000")
    parser.add_argument("--only", default=",".join(WORKLOADS), help="some of: " + ", ".join(WORKLOADS))
    parser.add_argument("--size", type=int, action="append", help="users a transaction")
    parser.add_argument("--threads", type=int, default=1, help="transactions at once, on both sides")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
