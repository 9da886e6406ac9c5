"""The throughput of a worker: jobs per second one by one, as stock Celery runs tasks, and in batches, with and without
events.

    python benchmarks/batch_throughput.py [--rounds 5] [--transport stock] [--threads 2] [--pool threads] [--batch 200]
        [--json]

There is one worker process for each method, with its own database in one durable Postgres and its own queue in one
Valkey, all started here. In each round every method gets a number of identify jobs of ten properties, about 300 bytes,
all at once, and is timed until the last is acknowledged. The methods take turns in random order, so that other load of
the machine affects all of them. The output has the medians of the rounds, and the median of the ratios within a round.
Idle latency is the time from before `users.identify` until the job can be read as applied, one at a time.
`--transport`, `--threads`, `--pool` and `--batch` take several values, to compare.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import psycopg
import redis

from rollbook import Rollbook
from rollbook_ops.devstack import Servers, processes
from rollbook_ops.devstack.workers import responding_workers

BATCH: Final = 200
ONE_BY_ONE_JOBS: Final = 800
"""In a round, for several seconds."""
BATCH_JOBS: Final = 4_000
IDLE_JOBS: Final = 50
_START: Final = (
    "import sys; from rollbook_worker.app import app; app.conf.worker_send_task_events = sys.argv[1] == 'events';"
    "app.worker_main(sys.argv[2:])"
)
_numbers = count()


@dataclass(frozen=True, kw_only=True, slots=True)
class Method:
    """One method of running jobs."""

    transport: str
    batch: int
    events: bool
    threads: int
    pool: str

    @property
    def name(self) -> str:
        how = f"batches of {self.batch}" if self.batch > 1 else "one by one"
        return f"{self.transport}: {how}, {self.pool} {self.threads}, {'events' if self.events else 'no events'}"


class Worker:
    """A worker that runs jobs with one method, alone on its queue and its database."""

    def __init__(self, method: Method, servers: Servers, number: int, logs: Path) -> None:
        self.method = method
        self.broker_url = urlsplit(servers.broker_url)._replace(path=f"/{number}").geturl()
        self.database_url = _new_database(servers.database_url, f"batching_{number}")
        self._broker = redis.Redis.from_url(self.broker_url)
        name = f"bench-{number}@localhost"
        events = "events" if method.events else "no"
        options = [f"--pool={method.pool}", f"--concurrency={method.threads}", f"--hostname={name}", "--queues=default"]
        self.process = processes.spawn(
            [sys.executable, "-c", _START, events, "worker", *options, "--without-gossip", "--without-mingle"],
            log=logs / f"{number}.log",
            env=os.environ | self.environment,
        )
        while not responding_workers(self.broker_url, {name}):
            assert self.process.poll() is None, (logs / f"{number}.log").read_text()

    @property
    def environment(self) -> dict[str, str]:
        return {
            "ROLLBOOK_BROKER_URL": self.broker_url,
            "ROLLBOOK_DATABASE_URL": self.database_url,
            "ROLLBOOK_BATCH_SIZE": str(self.method.batch),
            "ROLLBOOK_TRANSPORT": self.method.transport,
        }

    def rate(self, messages: list[bytes]) -> float:
        """Jobs per second, from when all of them wait until the last is acknowledged."""
        begin = time.perf_counter()
        self._broker.lpush("default", *messages)
        while self._broker.llen("default") or self._broker.hlen("unacked"):
            assert self.process.poll() is None
            time.sleep(0.005)
        return len(messages) / (time.perf_counter() - begin)

    def idle_milliseconds(self) -> list[float]:
        """Milliseconds from sending a job until it is readable, one at a time, with an idle worker."""
        taken = []
        read = "SELECT 1 FROM rollbook.jobs WHERE id = %s"
        with (
            Rollbook(broker_url=self.broker_url) as rb,
            psycopg.connect(self.database_url, autocommit=True) as connection,
        ):
            for _ in range(IDLE_JOBS):
                id_, traits = new_user()
                begin = time.perf_counter()
                job = rb.users.identify(id_, traits)
                while connection.execute(read, (job.id,)).fetchone() is None:
                    time.sleep(0.0005)
                taken.append(1_000 * (time.perf_counter() - begin))
                time.sleep(random.uniform(0.005, 0.05))
        return taken

    def stop(self) -> float:
        """Stop the worker; return the seconds that it took."""
        begin = time.perf_counter()
        processes.stop(self.process, 60)
        self._broker.close()
        return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--transport", nargs="+", default=["stock"])
    parser.add_argument("--threads", type=int, nargs="+", default=[2])
    parser.add_argument("--batch", type=int, nargs="+", default=[1, BATCH])
    parser.add_argument("--events", choices=["on", "off", "both"], default="both")
    parser.add_argument("--pool", nargs="+", default=["threads"])
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    methods = [
        Method(transport=transport, batch=batch, events=events, threads=threads, pool=pool)
        for transport in given.transport
        for batch in given.batch
        for pool in given.pool
        for threads in given.threads
        for events in (False, True)
        if given.events in ("both", "on" if events else "off")
    ]
    figures = _measure(methods, given.rounds)
    if given.json:
        print(json.dumps({"rounds": given.rounds, "methods": figures}))
        return
    print(f"{'median of ' + str(given.rounds) + ' rounds':<56}{'jobs/s':>9}{'of first':>10}{'idle p50':>10}{'p95':>8}")
    for name, figure in figures.items():
        print(
            f"{name:<56}{figure['jobs_per_second']:>9,.0f}{figure['of_first']:>10.2f}"
            f"{figure['idle_p50_ms']:>7.1f} ms{figure['idle_p95_ms']:>5.1f} ms"
        )


def _measure(methods: list[Method], rounds: int) -> dict[str, dict[str, float]]:
    rates: dict[Method, list[float]] = {method: [] for method in methods}
    with Servers(durable=True) as servers, _workers(methods, servers) as workers:
        for round_ in range(rounds + 1):
            for worker in random.sample(workers, len(workers)):
                jobs = BATCH_JOBS if worker.method.batch > 1 else ONE_BY_ONE_JOBS
                rate = worker.rate(new_messages(servers.broker_url, jobs))
                if round_:  # the first warms up
                    rates[worker.method].append(rate)
        idle = {worker.method: worker.idle_milliseconds() for worker in workers}
    return {
        method.name: {
            "jobs_per_second": statistics.median(rates[method]),
            "of_first": statistics.median(a / b for a, b in zip(rates[method], rates[methods[0]], strict=True)),
            "idle_p50_ms": statistics.median(idle[method]),
            "idle_p95_ms": statistics.quantiles(idle[method], n=20)[-1],
        }
        for method in methods
    }


@contextmanager
def _workers(methods: list[Method], servers: Servers) -> Iterator[list[Worker]]:
    with ExitStack() as undo:
        logs = Path(undo.enter_context(tempfile.TemporaryDirectory()))
        workers = []
        for number, method in enumerate(methods, 1):
            workers.append(worker := Worker(method, servers, number, logs))
            undo.callback(worker.stop)
        yield workers


def new_messages(broker_url: str, number: int) -> list[bytes]:
    """The messages that a backend would send."""
    with Rollbook(broker_url=broker_url) as rb, redis.Redis.from_url(broker_url) as broker:
        for _ in range(number):
            rb.users.identify(*new_user())
        messages = broker.lrange("default", 0, -1)
        broker.delete("default")
    return list(messages)


def new_user() -> tuple[str, dict[str, Any]]:
    """A new user, and ten properties of about 300 bytes as JSON."""
    number = next(_numbers)
    return f"user-{number:09}", {
        "email": f"ann.example.{number}@example.com",
        "name": "Ann Example-Ñuñez",
        "plan": "professional",
        "seats": number,
        "score": number / 7,
        "is_admin": False,
        "company": "Example Industries GmbH & Co. KG",
        "last_seen_page": "/settings/notifications/channels",
        "referrer": None,
        "address": {"city": "Berlin", "country": "DE", "tags": ["home", "billing"]},
    }


def _new_database(server_url: str, name: str) -> str:
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    url = urlsplit(server_url)._replace(path=f"/{name}").geturl()
    environment = os.environ | {"ROLLBOOK_DATABASE_URL": url}
    subprocess.run(
        [sys.executable, "-m", "rollbook_worker.migrations"], env=environment, check=True, capture_output=True
    )
    return url


if __name__ == "__main__":
    main()
