"""What more live workers bring on one machine, and who is busy: one, two and four processes against the same servers.

    python -m benchmarks.growing [--workers 1,2,4] [--jobs 20000] [--rounds 2] [--json]

Jobs are sent while no worker is there and put aside; when all workers answer, they are put back at once, and the time
counts until the last is decided. Beside the rate stands how much processor time a second the workers, Postgres and
Valkey took meanwhile: where their sum comes near the number of cores, the machine is what bounds the rate.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

import psutil
import psycopg
import redis
from rich.console import Console
from rich.table import Table

from rollcall import Rollcall
from rollcall.local import Servers, processes
from rollcall.local.workers import answering
from rollcall_shared.routing import LIVE

_WITHIN_SECONDS: Final = 120.0
_ASIDE: Final = "put-aside"
_PARTS: Final = ("workers", "postgres", "valkey")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growing", description=__doc__.splitlines()[0])
    parser.add_argument("--workers", default="1,2,4", help="numbers of worker processes (1,2,4)")
    parser.add_argument("--jobs", type=int, default=20_000, help="jobs of each measurement (20,000)")
    parser.add_argument("--rounds", type=int, default=2, help="measurements of each number (2)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    given = parser.parse_args()
    numbers = [int(number) for number in given.workers.split(",")]
    taken: dict[int, list[dict[str, float]]] = {number: [] for number in numbers}
    with Servers(durable=True, append_only=True) as servers, tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {
            "ROLLCALL_DATABASE_URL": servers.database_url,
            "ROLLCALL_BROKER_URL": servers.broker_url,
        }
        subprocess.run([sys.executable, "-m", "rollcall_worker.migrate"], env=environment, check=True)
        for _ in range(given.rounds):
            for number in numbers:
                taken[number].append(_measure(servers, environment, Path(folder), number, given.jobs))
    found = {
        number: {name: statistics.median(each[name] for each in those) for name in those[0]}
        for number, those in taken.items()
    }
    print(json.dumps(found)) if given.json else _show(found)


def _measure(servers: Servers, environment: dict[str, str], folder: Path, workers: int, jobs: int) -> dict[str, float]:
    with (
        Rollcall(broker_url=servers.broker_url, database_url=servers.database_url) as rc,
        psycopg.connect(servers.database_url, autocommit=True) as connection,
        redis.Redis.from_url(servers.broker_url) as broker,
        ExitStack() as undo,
    ):
        before = _decided(connection)
        for number in range(jobs):
            rc.users.identify(f"user-{before + number}", {"email": f"u{number}@example.com", "plan": "pro"})
        broker.rename(LIVE, _ASIDE)
        hosts = [f"growing-{number}@bench" for number in range(workers)]
        started = [_start(host, environment, folder) for host in hosts]
        for process in started:
            undo.callback(processes.stop, process, by=signal.SIGKILL)
        while answering(servers.broker_url, hosts) != set(hosts):
            pass
        begin, used = time.perf_counter(), _used(servers, started)
        broker.rename(_ASIDE, LIVE)
        _wait(connection, before + jobs)
        seconds = time.perf_counter() - begin
        busy = {
            part: (now - then) / seconds
            for (part, now), then in zip(_used(servers, started).items(), used.values(), strict=True)
        }
        return {"jobs/s": jobs / seconds, **busy}


def _start(host: str, environment: dict[str, str], folder: Path) -> subprocess.Popen[bytes]:
    command = ["-m", "celery", "-A", "rollcall_worker.app", "worker", "-Q", "live", "--pool", "threads"]
    options = ["--concurrency", "2", "--without-gossip", "--without-mingle", "--hostname", host]
    return processes.spawn([sys.executable, *command, *options], log=folder / f"{host}.log", env=environment)


def _decided(connection: psycopg.Connection) -> int:
    (number,) = connection.execute("SELECT count(*) FROM rollcall.jobs").fetchone() or (0,)
    return int(number)


def _wait(connection: psycopg.Connection, jobs: int) -> None:
    deadline = time.monotonic() + _WITHIN_SECONDS
    while _decided(connection) < jobs:
        if time.monotonic() > deadline:
            raise TimeoutError("the jobs were not decided in time")
        time.sleep(0.02)


def _used(servers: Servers, workers: Iterable[subprocess.Popen[bytes]]) -> dict[str, float]:
    """Processor seconds so far."""
    pids = ([process.pid for process in workers], [servers.postgres.pid], [servers.valkey.pid])
    return {part: sum(map(_seconds, those)) for part, those in zip(_PARTS, pids, strict=True)}


def _seconds(pid: int) -> float:
    total = 0.0
    parent = psutil.Process(pid)
    for process in (parent, *parent.children(recursive=True)):
        with suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def _show(found: dict[int, dict[str, float]]) -> None:
    table = Table("workers", "jobs/s", *(f"{part}, cores" for part in _PARTS))
    for number, values in found.items():
        table.add_row(str(number), f"{values['jobs/s']:,.0f}", *(f"{values[part]:.2f}" for part in _PARTS))
    Console().print(table)


if __name__ == "__main__":
    main()
