"""Durability: how many confirmed jobs a Redis keeps that is killed, by `appendfsync`, with a disk that syncs slowly.

    python -m benchmarks.durability [--broker PROGRAM] [--kills 10] [--sync-ms 400] [--json]

Three clients push one job after the other, each after the last was confirmed, until the server is killed with SIGKILL
at a random time. Then the confirmed jobs are compared with those that the restarted server has. `strace` delays each
sync; with `--sync-ms 0` it is not needed, and syncs take the disk's own time.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import redis
from rich.console import Console
from rich.table import Table

from rollbook_ops.devstack.binaries import find_valkey

POLICIES: Final = ("everysec", "no", "always")
_CLIENTS: Final = 3
_JOB: Final = b"x" * 300
_LIFETIME_SECONDS: Final = (1.0, 2.5)
"""Seconds until a server is killed; at least one sync happens in this time."""
_START_SECONDS: Final = 10.0


@dataclass(slots=True)
class Durability:
    """The result of all kills under one policy."""

    confirmed: int = 0
    lost: int = 0
    """Confirmed jobs that were lost."""
    kills: int = 0
    kills_that_lost: int = 0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.durability", description=__doc__.splitlines()[0])
    parser.add_argument("--broker", metavar="PROGRAM", help="the server, such as redis-server; Valkey by default")
    parser.add_argument("--kills", type=int, default=10, help="kills for each policy (10)")
    parser.add_argument("--sync-ms", type=int, default=400, help="delay of each sync, by strace (400)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    given = parser.parse_args()
    program = shutil.which(given.broker) if given.broker else find_valkey()
    if program is None:
        parser.error(f"program not found: {given.broker}")
    if given.sync_ms and shutil.which("strace") is None:
        parser.error("strace is needed to delay syncs; install it, or use --sync-ms 0")
    found = {policy: measure_durability(Path(program), policy, given.kills, given.sync_ms) for policy in POLICIES}
    if given.json:
        print(json.dumps({policy: asdict(result) for policy, result in found.items()}))
    else:
        _show(found, given.sync_ms)


def measure_durability(program: Path, policy: str, kills: int, sync_ms: int) -> Durability:
    """Kill this many servers, one after the other, and count the jobs."""
    total = Durability()
    for _ in range(kills):
        with TemporaryDirectory() as folder:
            confirmed = _confirmed_until_killed(program, policy, Path(folder), sync_ms)
            with _server(program, policy, Path(folder)) as (_, client):
                lost = sum(max(0, times - client.llen(queue)) for queue, times in confirmed.items())
        total.kills += 1
        total.kills_that_lost += lost > 0
        total.confirmed += sum(confirmed.values())
        total.lost += lost
    return total


def _confirmed_until_killed(program: Path, policy: str, folder: Path, sync_ms: int) -> dict[str, int]:
    confirmed = {f"queue{number}": 0 for number in range(_CLIENTS)}
    with (
        _server(program, policy, folder) as (process, client),
        _slow_to_sync(process, sync_ms) if sync_ms else nullcontext(),
    ):
        threads = [threading.Thread(target=_push, args=(client, queue, confirmed)) for queue in confirmed]
        for thread in threads:
            thread.start()
        time.sleep(random.uniform(*_LIFETIME_SECONDS))
        process.kill()
        for thread in threads:
            thread.join()
    return confirmed


def _push(client: Any, queue: str, confirmed: dict[str, int]) -> None:
    try:
        while True:
            client.lpush(queue, _JOB)
            confirmed[queue] += 1
    except redis.RedisError:
        """The server is gone, and this push was not confirmed."""


@contextmanager
def _server(program: Path, policy: str, folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], Any]]:
    socket = folder / "socket"
    process = subprocess.Popen(
        [
            *(program, "--port", "0", "--unixsocket", socket, "--dir", folder),
            *("--save", "", "--appendonly", "yes", "--appendfsync", policy),
        ],
        stdout=subprocess.DEVNULL,
    )
    try:
        with redis.Redis(unix_socket_path=str(socket)) as client:
            _wait_for(client)
            yield process, client
    finally:
        process.kill()
        process.wait()


def _wait_for(client: Any) -> None:
    until = time.monotonic() + _START_SECONDS
    while True:
        try:
            client.ping()
            return
        except redis.RedisError:  # not started, or still reading its file
            if time.monotonic() > until:
                sys.exit("the server does not start")
            time.sleep(0.02)


@contextmanager
def _slow_to_sync(process: subprocess.Popen[bytes], milliseconds: int) -> Iterator[None]:
    syncs = "fsync,fdatasync"
    tracer = subprocess.Popen(
        [
            *("strace", "-f", "-p", str(process.pid), "-o", "/dev/null"),
            *("-e", f"trace={syncs}", "-e", f"inject={syncs}:delay_enter={milliseconds * 1_000}"),
        ],
        stderr=subprocess.PIPE,
    )
    assert tracer.stderr is not None
    if b"attached" not in tracer.stderr.readline():
        sys.exit("strace is not permitted to attach to the server")
    try:
        yield
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.communicate()


def _show(found: dict[str, Durability], sync_ms: int) -> None:
    slow = f", each sync delayed by {sync_ms} ms" if sync_ms else ""
    table = Table(title=f"Killed with SIGKILL{slow}", title_justify="left")
    for name in ("appendfsync", "kills", "confirmed", "lost", "kills that lost"):
        table.add_column(name, justify="left" if name == "appendfsync" else "right")
    for policy, result in found.items():
        table.add_row(
            policy, f"{result.kills}", f"{result.confirmed:,}", f"{result.lost:,}", f"{result.kills_that_lost}"
        )
    Console().print(table)


if __name__ == "__main__":
    main()
