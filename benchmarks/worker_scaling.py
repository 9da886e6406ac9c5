"""How the rate grows with workers on one machine, and the processor time per user of workers, Postgres and Valkey.

    python -m benchmarks.worker_scaling [--queue default] [--workers 1,2,4] [--users 10000] [--rounds 3]
        [--append-fsync everysec|always] [--json]

The users are those of `./run bench`, half of them known and half new; on the queue `default` a job has one user, on
`bulk` a hundred. All jobs wait for warm workers, and the time counts until none is waiting or in flight. If `cores
busy` is near the number of cores, the machine limits the rate; the processor time of each part says which one needs
more cores first. The output has the medians of the rounds.
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
from benchmarks.bench.contenders.rollbook import RollbookBulk, RollbookSingle
from benchmarks.bench.environment import Environment
from benchmarks.bench.users import make_users
from rich.console import Console
from rich.table import Table

from rollbook_ops.devstack import Servers, processes
from rollbook_ops.devstack.valkey import AppendFsync

KNOWN: Final = 10_000
"""Users in the table at the start."""
WARM_UP: Final = 2_000
_WITHIN_SECONDS: Final = 120.0
_IN_FLIGHT: Final = "unacked"
_PUBLISHING: Final = "valkey to publish, us per user"
_WAKEUPS: Final = "and to wake idle workers"
_CONTENDERS: Final = {contender.queue: contender for contender in (RollbookSingle, RollbookBulk)}

Figures = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.worker_scaling", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--queue", choices=sorted(_CONTENDERS), default="default", help="default: one user per job; bulk: a hundred"
    )
    parser.add_argument("--workers", default="1,2,4", help="numbers of worker processes (1,2,4)")
    parser.add_argument("--users", type=int, default=10_000, help="users of each measurement (10,000)")
    parser.add_argument("--rounds", type=int, default=3, help="measurements for each number (3)")
    parser.add_argument("--append-fsync", choices=get_args(AppendFsync), default="everysec", help="Valkey's setting")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    given = parser.parse_args()
    numbers = [int(number) for number in given.workers.split(",")]
    with (
        Servers(durable=True, append_only=True, append_fsync=given.append_fsync) as servers,
        Environment(servers) as environment,
    ):
        found = {
            number: _measure(servers, environment, given.queue, number, given.users, given.rounds) for number in numbers
        }
    print(json.dumps(found)) if given.json else _show(found)


def _measure(servers: Servers, environment: Environment, queue: str, workers: int, users: int, rounds: int) -> Figures:
    with closing(_CONTENDERS[queue](environment, f"growing-{workers}", known=KNOWN, workers=workers)) as contender:
        contender.start()
        contender.wait_until_ready()
        waking = _send(servers, contender, WARM_UP)
        _drain(servers, contender, WARM_UP)
        measurements = []
        for _ in range(rounds):
            with _suspended(contender):
                sending = _send(servers, contender, users)
            measurements.append({**_drain(servers, contender, users), _PUBLISHING: sending, _WAKEUPS: waking})
        for process in contender.processes.values():
            processes.kill(process)
    return {name: statistics.median(each[name] for each in measurements) for name in measurements[0]}


def _send(servers: Servers, contender: RollbookSingle, users: int) -> float:
    """Publish to the waiting room; return Valkey's microseconds per user. Idle workers wake up all the same and look at
    their own queue, because Valkey notifies them by the name of the list.
    """
    before = processor_seconds([servers.valkey.pid])
    contender.stage(make_users(users, known=contender.known))
    return (processor_seconds([servers.valkey.pid]) - before) / users * 1e6


@contextmanager
def _suspended(contender: RollbookSingle) -> Iterator[None]:
    """Suspend the workers meanwhile."""
    workers = [psutil.Process(process.pid) for process in contender.processes.values()]
    for worker in workers:
        worker.suspend()
    try:
        yield
    finally:
        for worker in workers:
            worker.resume()


def _drain(servers: Servers, contender: RollbookSingle, users: int) -> Figures:
    """Let the workers apply the jobs."""
    parts = {
        "workers": [process.pid for process in contender.processes.values()],
        "postgres": [servers.postgres.pid],
        "valkey": [servers.valkey.pid],
    }
    before = {part: processor_seconds(pids) for part, pids in parts.items()}
    begin = time.perf_counter()
    contender.release()
    # polls Valkey, for which it costs almost nothing, and not Postgres, which would have to count
    contender.wait_for(lambda: is_done(contender), within=_WITHIN_SECONDS, what="apply everything")
    seconds = time.perf_counter() - begin
    used = {part: processor_seconds(pids) - before[part] for part, pids in parts.items()}
    if contender.count_applied() != users:
        raise RuntimeError(f"{contender.count_applied()} of {users} users were applied")
    return {
        "users/s": users / seconds,
        **{f"{part}, us per user": used_ / users * 1e6 for part, used_ in used.items()},
        "cores busy": sum(used.values()) / seconds,
        "connections": _connections(contender),
    }


def is_done(contender: RollbookSingle) -> bool:
    waiting, in_flight = contender.client.llen(contender.queue), contender.client.hlen(_IN_FLIGHT)
    return (waiting, in_flight) == (0, 0)


def processor_seconds(pids: Sequence[int]) -> float:
    """The processor time of these processes and their children so far."""
    total = 0.0
    for pid in pids:
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            with suppress(psutil.Error):
                times = process.cpu_times()
                total += times.user + times.system
    return total


def _connections(contender: RollbookSingle) -> int:
    """How many connections to Postgres the workers have."""
    (number,) = contender.connection.execute(
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
