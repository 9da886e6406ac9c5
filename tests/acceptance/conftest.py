"""The whole path: the public face, a real broker, real Celery worker processes, a real Postgres."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.brokers import broker_program

from rollbook import Rollbook
from rollbook_ops.devstack import Servers, processes
from rollbook_ops.devstack.workers import answering

READY_WITHIN_SECONDS = 60.0


def until(condition: Callable[[], object], *, within: float = 30.0, what: str = "it") -> None:
    """Ask again and again until `condition` holds."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {within:.0f} s"
        time.sleep(0.02)


class Workers:
    """Starts worker processes on one database and broker, and ends those that are left."""

    def __init__(self, database_url: str, broker_url: str, logs: Path) -> None:
        self.logs = logs
        self._environment = os.environ | {"ROLLBOOK_DATABASE_URL": database_url, "ROLLBOOK_BROKER_URL": broker_url}
        self._broker_url = broker_url
        self._running: list[subprocess.Popen[bytes]] = []

    def start(
        self, name: str = "worker", *, pool: str = "threads", threads: int = 4, **settings: str
    ) -> subprocess.Popen[bytes]:
        """Start a worker on both queues, and wait until it answers."""
        worker = self.spawn(name, pool=pool, threads=threads, **settings)
        host = f"{name}@acceptance"
        until(lambda: answering(self._broker_url, {host}), within=READY_WITHIN_SECONDS, what=f"{name} answering")
        return worker

    def spawn(
        self,
        name: str = "worker",
        *more: str,
        pool: str = "threads",
        threads: int = 4,
        loglevel: str = "INFO",
        app: str = "rollbook_worker.app",
        **settings: str,
    ) -> subprocess.Popen[bytes]:
        """Start a worker on both queues; `more` stands on its command line."""
        host = f"{name}@acceptance"
        return self._spawn(
            name,
            *("-m", "celery", "-A", app, "worker", "--queues", "default,bulk", "--hostname", host),
            *("--pool", pool, "--concurrency", str(threads), "--loglevel", loglevel, "--events"),
            *("--without-gossip", "--without-mingle", *more),
            **settings,
        )

    def start_upkeep(self, **settings: str) -> subprocess.Popen[bytes]:
        return self._spawn("maintenance", "-m", "rollbook_worker.maintenance", **settings)

    def log(self, name: str = "worker") -> str:
        return (self.logs / f"{name}.log").read_text()

    def stop(self) -> None:
        for process in self._running:
            processes.stop(process, by=signal.SIGKILL)

    def _spawn(self, name: str, *args: str, **settings: str) -> subprocess.Popen[bytes]:
        process = processes.spawn(
            [sys.executable, *args], log=self.logs / f"{name}.log", env=self._environment | settings
        )
        self._running.append(process)
        return process


@pytest.fixture
def workers(database_url: str, broker_url: str, tmp_path: Path) -> Iterator[Workers]:
    workers = Workers(database_url, broker_url, tmp_path)
    yield workers
    workers.stop()


@pytest.fixture
def rb(database_url: str, broker_url: str) -> Iterator[Rollbook]:
    with Rollbook(database_url=database_url, broker_url=broker_url) as rb:
        yield rb


@pytest.fixture(scope="module")
def durable_servers() -> Iterator[Servers]:
    """Servers that keep what they confirmed through a kill; the test may stop them."""
    servers = Servers(durable=True, append_only=True, append_fsync="always", valkey_program=broker_program())
    with servers:
        yield servers


@pytest.fixture(scope="module")
def durable_database_url(durable_servers: Servers) -> str:
    environment = os.environ | {"ROLLBOOK_DATABASE_URL": durable_servers.database_url}
    subprocess.run([sys.executable, "-m", "rollbook_worker.migrations"], env=environment, check=True)
    return durable_servers.database_url


@pytest.fixture
def durable_workers(durable_servers: Servers, durable_database_url: str, tmp_path: Path) -> Iterator[Workers]:
    workers = Workers(durable_database_url, durable_servers.broker_url, tmp_path)
    yield workers
    workers.stop()


@pytest.fixture
def durable_rc(durable_servers: Servers, durable_database_url: str) -> Iterator[Rollbook]:
    with Rollbook(database_url=durable_database_url, broker_url=durable_servers.broker_url) as rb:
        yield rb
