"""What an open feed socket costs a server, in memory and processor time, and what notifying of changes costs a worker.

    python benchmarks/idle_sockets.py [--sockets 10000] [--rounds 20] [--json]

It starts a Valkey and a Postgres. One process serves, this one opens the sockets, each of a user of its own, and joins
a feed with each. Sockets that are open send heartbeats while the others are opened. Memory is the server's resident set
after all have got their counts, less that before the first.

`notifier`: processor time of this process for batches of 200 triggers in the store, with and without notifying whose
feeds have changed, in turn; the median of the ratios within a round.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.request import urlopen

import websockets

from rollbook_ops.devstack import Servers
from rollbook_ops.devstack.endpoint import LOOPBACK, free_port
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Trigger
from rollbook_worker.feed_changes import FeedNotifier
from rollbook_worker.migrations.runner import migrate
from rollbook_worker.store import PostgresStore, ReceivedJob, Store

KEY: Final = "sk_benchmark"
BATCH: Final = 200
AT_ONCE: Final = 100
HEARTBEAT_SECONDS: Final = 30
"""How often a client sends a heartbeat; the server closes a socket that is silent three times as long."""
_HEARTBEAT: Final = '[null,"2","phoenix","heartbeat",{}]'
_MIB: Final = 1024 * 1024


def serve(servers: Servers, sockets: int) -> tuple[subprocess.Popen[bytes], int]:
    """A server in a process of its own, and its port."""
    port = free_port()
    env = {
        **os.environ,
        "ROLLBOOK_BROKER_URL": servers.broker_url,
        "ROLLBOOK_DATABASE_URL": servers.database_url,
        "ROLLBOOK_SECRET_KEYS": KEY,
        "ROLLBOOK_SERVER_MAX_LISTENERS": str(sockets),
    }
    words = [sys.executable, "-m", "rollbook_ops.cli", "serve", "--host", LOOPBACK, "--port", str(port)]
    return subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL), port


def wait_for(port: int) -> None:
    """Until the server answers."""
    for _ in range(200):
        try:
            with urlopen(f"http://{LOOPBACK}:{port}/healthz"):
                return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError("the server does not answer")


def resident(pid: int) -> int:
    """The bytes of memory that a process has."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


def seconds_used(pid: int) -> float:
    """The processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def open_socket(port: int, user_id: str) -> websockets.ClientConnection:
    """A socket that has joined the feed of a user and has got its counts."""
    url = f"ws://{LOOPBACK}:{port}/ws/v1/websocket?api_key={KEY}&vsn=2.0.0"
    socket = await websockets.connect(url, compression=None, ping_interval=None, open_timeout=None)
    await socket.send(json.dumps(["1", "1", f"feeds:in_app:{user_id}", "phx_join", {"client_1": {}}]))
    for _ in range(2):  # the reply and the counts
        await socket.recv()
    return socket


async def keep_open(sockets: Sequence[websockets.ClientConnection], all_are_open: asyncio.Event) -> None:
    """Send the heartbeats of the open sockets until all are open."""
    while not all_are_open.is_set():
        await send_heartbeats(tuple(sockets))
        with suppress(TimeoutError):
            async with asyncio.timeout(HEARTBEAT_SECONDS):
                await all_are_open.wait()


async def send_heartbeats(sockets: Sequence[websockets.ClientConnection]) -> None:
    """Send a heartbeat with each socket and read its reply."""
    for socket in sockets:
        await socket.send(_HEARTBEAT)
    for socket in sockets:
        await socket.recv()


async def measure_sockets(pid: int, port: int, count: int) -> dict[str, float]:
    """Memory and processor time of `count` idle sockets."""
    before = resident(pid)
    permits = asyncio.Semaphore(AT_ONCE)
    sockets: list[websockets.ClientConnection] = []

    async def join(number: int) -> None:
        async with permits:
            socket = await open_socket(port, f"user-{number}")
        sockets.append(socket)

    begun = time.perf_counter()
    all_are_open = asyncio.Event()
    keeping = asyncio.create_task(keep_open(sockets, all_are_open))
    await asyncio.gather(*map(join, range(count)))
    opened = time.perf_counter() - begun
    all_are_open.set()
    await keeping
    memory = resident(pid) - before
    used = seconds_used(pid)
    await send_heartbeats(sockets)
    heartbeats = seconds_used(pid) - used
    figures = {
        "sockets": float(count),
        "server_mib": round(resident(pid) / _MIB, 1),
        "kib_per_socket": round(memory / count / 1024, 1),
        "opened_per_second": round(count / opened),
        "cpu_us_per_heartbeat": round(heartbeats / count * 1e6),
        "cpu_percent_idle": round(heartbeats / HEARTBEAT_SECONDS * 100, 2),
    }
    for socket in sockets:
        socket.transport.abort()
    return figures


def measure_notifier(servers: Servers, rounds: int) -> dict[str, float]:
    """Processor time of a batch of triggers with and without notifying."""
    postgres = PostgresStore(servers.database_url)
    notifier = FeedNotifier(servers.broker_url, postgres.find_recipients)
    notifying = PostgresStore(servers.database_url, on_committed=notifier.notify)
    stores: dict[str, Store] = {"without": postgres, "with": notifying}
    times: dict[str, list[float]] = {name: [] for name in stores}
    for turn in range(rounds + 2):
        for name, store in stores.items() if turn % 2 else reversed(stores.items()):
            jobs = [
                Trigger(
                    id=f"{name}-{turn}-{number}",
                    occurred_at=time.time_ns() // 1_000,
                    workflow="comment",
                    recipients=(f"user-{turn}-{number}",),
                    data={"text": "x" * 100},
                )
                for number in range(BATCH)
            ]
            arrivals = [ReceivedJob.of(encode(job)) for job in jobs]
            begun = time.process_time()
            store.apply(arrivals)
            if turn >= 2:  # the first ones connect
                times[name].append(time.process_time() - begun)
    notifier.close()
    postgres.close()
    ratios = [ours / plain for ours, plain in zip(times["with"], times["without"], strict=True)]
    return {
        "batch_ms_without": round(statistics.median(times["without"]) * 1e3, 2),
        "batch_ms_with": round(statistics.median(times["with"]) * 1e3, 2),
        "ratio": round(statistics.median(ratios), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sockets", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with Servers(durable=False) as servers:
        migrate(servers.database_url)
        figures = {"notifier": measure_notifier(servers, options.rounds)}
        server, port = serve(servers, options.sockets)
        try:
            wait_for(port)
            figures["sockets"] = asyncio.run(measure_sockets(server.pid, port, options.sockets))
        finally:
            server.terminate()
            server.wait()
    if options.json:
        print(json.dumps(figures))
        return
    for group, values in figures.items():
        for name, value in values.items():
            print(f"{group:<10}{name:<24}{value:>12,}")


if __name__ == "__main__":
    main()
