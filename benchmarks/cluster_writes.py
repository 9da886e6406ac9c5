"""What a late write to a merged user costs, by how often the user was identified, before and after maintenance.

    python -m benchmarks.cluster_writes [--identifies 0,1000,15000] [--ids 2] [--writes 30] [--json]

A write to an identity cluster that is not its newest reads and projects everything that was received under its ids.
The user was identified once a minute under its secondary id, in the past; these identifies are written by SQL, as
workers leave them: eight stamps to an entry of the identify log. Then an identify of yesterday is applied again and
again, by itself, before and after maintenance has compacted the log. The output has the medians, in milliseconds of
time, and of the worker's processor time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

import psycopg
from rich.console import Console
from rich.table import Table

from rollbook_ops.devstack import Servers
from rollbook_shared.domain.stamps import new_job_id, stamp
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Identify, Job, Merge, UserUpdate
from rollbook_worker.store import PostgresStore, ReceivedJob

MINUTE: Final = 60_000_000
DAY: Final = 1_440 * MINUTE
ENTRY: Final = 8
"""Stamps in an entry of the identify log, as many as a user's row has room for."""

Figures = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster_writes", description=__doc__.splitlines()[0])
    parser.add_argument("--identifies", default="0,1000,15000", help="of the merged user, in the past (0,1000,15000)")
    parser.add_argument("--ids", type=int, default=2, help="ids of the user, the primary with them (2)")
    parser.add_argument("--writes", type=int, default=30, help="measured writes (30)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    given = parser.parse_args()
    found: dict[str, Figures] = {}
    with Servers(durable=True) as servers:
        for number in map(int, given.identifies.split(",")):
            url = _database(servers.database_url, f"identifies_{number}")
            found[str(number)] = _measure(PostgresStore(url), url, number, given.ids, given.writes)
    print(json.dumps(found)) if given.json else _show(found)


def _measure(store: PostgresStore, url: str, identifies: int, ids: int, writes: int) -> Figures:
    begin = time.time_ns() // 1_000 - 2 * DAY - identifies * MINUTE
    names = [f"guest-{number:06}" for number in range(ids - 1)]
    _apply(store, (_identify(name, begin) for name in ("ann", *names)))
    _apply(store, (_merge("ann", name, begin + 1) for name in names))
    with psycopg.connect(url, autocommit=True) as connection:
        stamps = [stamp(begin + number * MINUTE, f"past{number}") for number in range(1, identifies)]
        entries = [stamps[start : start + ENTRY] for start in range(0, len(stamps), ENTRY)]
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO rollbook.identify_log (user_id, last_stamp, identify_stamps) VALUES (%s, %s, %s)",
                [(names[-1], entry[-1], "".join(f"{at} " for at in entry)) for entry in entries],
            )
        connection.execute("ANALYZE rollbook.identify_log")
    _apply(store, [_identify("ann", time.time_ns() // 1_000)])
    before = _writes(store, names[-1], writes)
    started = time.perf_counter()
    deleted = store.cleanup.compact_identify_log(now=time.time_ns() // 1_000)
    compacted_in = time.perf_counter() - started
    after = _writes(store, names[-1], writes)
    store.close()
    return {
        "before, ms": before[0],
        "before, ms of the worker": before[1],
        "after, ms": after[0],
        "after, ms of the worker": after[1],
        "compacted in, ms": 1_000 * compacted_in,
        "entries deleted": deleted,
    }


def _writes(store: PostgresStore, name: str, writes: int) -> tuple[float, float]:
    times: list[tuple[float, float]] = []
    for _ in range(writes):
        job = _identify(name, time.time_ns() // 1_000 - DAY)
        started, used = time.perf_counter(), time.thread_time()
        _apply(store, [job])
        times.append((time.perf_counter() - started, time.thread_time() - used))
    elapsed, processor = zip(*times, strict=True)
    return 1_000 * statistics.median(elapsed), 1_000 * statistics.median(processor)


def _apply(store: PostgresStore, jobs: Iterable[Job]) -> None:
    arrivals = [ReceivedJob.of(encode(job)) for job in jobs]
    for start in range(0, len(arrivals), 200):
        store.apply(arrivals[start : start + 200], now=time.time_ns() // 1_000)


def _identify(name: str, at: int) -> Identify:
    return Identify(id=new_job_id(at), occurred_at=at, user=UserUpdate(id=name, traits={"plan": "pro", "at": at}))


def _merge(primary: str, secondary: str, at: int) -> Merge:
    return Merge(id=new_job_id(at), occurred_at=at, primary_id=primary, secondary_id=secondary)


def _database(server_url: str, name: str) -> str:
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    url = urlsplit(server_url)._replace(path=f"/{name}").geturl()
    environment = os.environ | {"ROLLBOOK_DATABASE_URL": url}
    subprocess.run([sys.executable, "-m", "rollbook_worker.migrations"], env=environment, check=True)
    return url


def _show(found: dict[str, Figures]) -> None:
    names = list(next(iter(found.values())))
    table = Table("identifies", *names)
    for identifies, figures in found.items():
        table.add_row(identifies, *(f"{figures[name]:,.1f}" for name in names))
    Console().print(table)


if __name__ == "__main__":
    main()
