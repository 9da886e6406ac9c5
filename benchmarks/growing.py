"""What more workers bring on one machine, and whose processor time a user takes: the workers', Postgres' or Valkey's.

    python -m benchmarks.growing [--queue default] [--workers 1,2,4] [--users 10000] [--rounds 3]
        [--append-fsync everysec|always] [--json]

The users are those of `./run bench`, half of them known and half new; on the queue `default` each is a job, on `bulk` a
hundred are. Warm workers find all jobs waiting, and the time counts until none is waiting or held. Where `cores busy`
comes near the number of cores, the machine is what bounds the rate; the processor time of each part says where more
cores would be needed first. Shown are medians of the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Final, get_args

import psutil
from benchmarks.bench.ground import Ground
from benchmarks.bench.people import crowd
from benchmarks.bench.sides.ours import RollbookBulk, RollbookSide
from rich.console import Console
from rich.table import Table

from rollbook_ops.devstack import Servers, processes
from rollbook_ops.devstack.valkey import AppendFsync

KNOWN: Final = 10_000
"""Users in the table at the beginning."""
WARM_UP: Final = 2_000
_WITHIN_SECONDS: Final = 120.0
_HELD: Final = "unacked"
_SENDING: Final = "valkey to send, us a user"
_WAKING: Final = "and to wake idle workers"
_SIDES: Final = {side.queue: side for side in (RollbookSide, RollbookBulk)}

Figures = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growing", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--queue", choices=sorted(_SIDES), default="default", help="default: a user a job; bulk: a hundred"
    )
    parser.add_argument("--workers", default="1,2,4", help="numbers of worker processes (1,2,4)")
    parser.add_argument("--users", type=int, default=10_000, help="users of each measurement (10,000)")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each number (3)")
    parser.add_argument("--append-fsync", choices=get_args(AppendFsync), default="everysec", help="Valkey's setting")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    given = parser.parse_args()
    numbers = [int(number) for number in given.workers.split(",")]
    with (
        Servers(durable=True, append_only=True, append_fsync=given.append_fsync) as servers,
        Ground(servers) as ground,
    ):
        found = {
            number: _measure(servers, ground, given.queue, number, given.users, given.rounds) for number in numbers
        }
    print(json.dumps(found)) if given.json else _show(found)


def _measure(servers: Servers, ground: Ground, queue: str, workers: int, users: int, rounds: int) -> Figures:
    with closing(_SIDES[queue](ground, f"growing-{workers}", known=KNOWN, workers=workers)) as side:
        side.start()
        side.wait_until_ready()
        waking = _send(servers, side, WARM_UP)
        _drain(servers, side, WARM_UP)
        taken = []
        for _ in range(rounds):
            with _asleep(side):
                sending = _send(servers, side, users)
            taken.append({**_drain(servers, side, users), _SENDING: sending, _WAKING: waking})
        for process in side.processes.values():
            processes.kill(process)
    return {name: statistics.median(each[name] for each in taken) for name in taken[0]}


def _send(servers: Servers, side: RollbookSide, users: int) -> float:
    """Send to where nobody listens; return Valkey's microseconds a user. Idle workers look at their own queue all the
    same, as Valkey tells them by the name of the list alone.
    """
    before = _processor_seconds([servers.valkey.pid])
    side.stage(crowd(users, known=side.known))
    return (_processor_seconds([servers.valkey.pid]) - before) / users * 1e6


@contextmanager
def _asleep(side: RollbookSide) -> Iterator[None]:
    """Have the workers hear of nothing meanwhile."""
    workers = [psutil.Process(process.pid) for process in side.processes.values()]
    for worker in workers:
        worker.suspend()
    try:
        yield
    finally:
        for worker in workers:
            worker.resume()


def _drain(servers: Servers, side: RollbookSide, users: int) -> Figures:
    """Have the workers apply what was sent."""
    parts = {
        "workers": [process.pid for process in side.processes.values()],
        "postgres": [servers.postgres.pid],
        "valkey": [servers.valkey.pid],
    }
    before = {part: _processor_seconds(pids) for part, pids in parts.items()}
    begin = time.perf_counter()
    side.release()
    # asked of Valkey, to which it costs next to nothing, and not of Postgres, which would have to count
    side.wait_for(lambda: _is_done(side), within=_WITHIN_SECONDS, what="apply everything")
    seconds = time.perf_counter() - begin
    used = {part: _processor_seconds(pids) - before[part] for part, pids in parts.items()}
    if side.applied() != users:
        raise RuntimeError(f"{side.applied()} of {users} users were applied")
    return {
        "users/s": users / seconds,
        **{f"{part}, us a user": spent / users * 1e6 for part, spent in used.items()},
        "cores busy": sum(used.values()) / seconds,
        "connections": _connections(side),
    }


def _is_done(side: RollbookSide) -> bool:
    waiting, held = side.client.llen(side.queue), side.client.hlen(_HELD)
    return (waiting, held) == (0, 0)


def _processor_seconds(pids: Sequence[int]) -> float:
    """What these processes and their children have used so far."""
    total = 0.0
    for pid in pids:
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            with suppress(psutil.Error):
                times = process.cpu_times()
                total += times.user + times.system
    return total


def _connections(side: RollbookSide) -> int:
    """How many connections to Postgres the workers hold."""
    (number,) = side.connection.execute(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE application_name = 'rollbook-worker' AND datname = current_database()"
    ).fetchone() or (0,)
    return int(number)


def _show(found: dict[int, Figures]) -> None:
    names = list(next(iter(found.values())))
    table = Table("workers", title=f"{os.cpu_count()} cores")
    for name in names:
        table.add_column(name, justify="right")
    for number, figures in found.items():
        table.add_row(str(number), *(f"{figures[name]:,.1f}" for name in names))
    Console().print(table)


if __name__ == "__main__":
    main()
