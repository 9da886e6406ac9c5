"""The store against bare upserts: users per second from message text to commit, and bytes of WAL per user.

    python -m benchmarks.store [--quick] [--rounds 7] [--users 10000,1000000] [--only new,late] [--threads 2] [--json]

Both contenders write the same rows in the same transactions on one durable Postgres that is started here, one after the
other in random order, so that other load of the machine affects both. The output has the medians of the rounds, and the
medians of the ratios within a round. With several threads (a worker has eight) each contender applies that many
transactions at once; then the time of decoding cannot be measured separately.
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

from benchmarks.store_contenders import Contender, Floor, Measurement, Rollbook
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
    """What is measured: the workload, users in the table, users per job, users per transaction."""

    workload: str
    known: int
    users_per_job: int
    users: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Medians. `ratio` is users per second relative to the floor; `applying` the same without decoding the messages."""

    floor_users_per_second: float
    users_per_second: float
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
        contenders = Floor(servers.database_url, given.threads), Rollbook(servers.database_url, given.threads)
        figures = dict(_measure(*contenders, known, cells, rounds, given.quick, progress))
        for contender in contenders:
            contender.close()
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
            taken: list[tuple[Measurement, Measurement]] = []
            for round_ in range(rounds + 1):
                measured = _round(floor, rollbook, cell, times)
                if round_:  # the first warms up
                    taken.append(measured)
                    progress.advance(step)
            yield cell, _figures(taken, times * cell.users)


def _round(floor: Floor, rollbook: Rollbook, cell: Cell, times: int) -> tuple[Measurement, Measurement]:
    batch = batches(
        WORKLOADS[cell.workload], known=cell.known, users_per_job=cell.users_per_job, users=cell.users, times=times
    )
    contenders: dict[str, Contender] = {"floor": floor, "rollbook": rollbook}
    measured = {name: contenders[name].run(batch) for name in random.sample(list(contenders), 2)}
    return measured["floor"], measured["rollbook"]


def _figures(taken: list[tuple[Measurement, Measurement]], users: int) -> Figures:
    median = statistics.median
    return Figures(
        floor_users_per_second=median(users / floor.seconds for floor, _ in taken),
        users_per_second=median(users / ours.seconds for _, ours in taken),
        ratio=median(floor.seconds / ours.seconds for floor, ours in taken),
        applying=median(floor.seconds / (ours.seconds - ours.decoding) for floor, ours in taken),
        floor_bytes=median(floor.wal_bytes / users for floor, _ in taken),
        bytes=median(ours.wal_bytes / users for _, ours in taken),
        bytes_ratio=median(ours.wal_bytes / floor.wal_bytes for floor, ours in taken),
    )


def _table(figures: dict[Cell, Figures]) -> Table:
    table = Table(title="the store against bare upserts (users/s, WAL bytes per user)")
    for heading in ("workload", "known", "per job", "per transaction"):
        table.add_column(heading)
    for heading in ("floor/s", "rollbook/s", "ratio", "applying", "floor B", "B", "B ratio"):
        table.add_column(heading, justify="right")
    for cell, found in figures.items():
        table.add_row(
            cell.workload,
            f"{cell.known:,}",
            str(cell.users_per_job),
            f"{cell.users:,}",
            f"{found.floor_users_per_second:,.0f}",
            f"{found.users_per_second:,.0f}",
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
    parser.add_argument("--quick", action="store_true", help="fewer and smaller transactions: less than a minute")
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--users", default="10000", help="users in the table, ascending: 10000,1000000")
    parser.add_argument("--only", default=",".join(WORKLOADS), help="some of: " + ", ".join(WORKLOADS))
    parser.add_argument("--size", type=int, action="append", help="users per transaction")
    parser.add_argument("--threads", type=int, default=1, help="transactions at once, of both contenders")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
