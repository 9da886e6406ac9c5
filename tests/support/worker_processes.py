"""Worker and maintenance processes of a test, on one database and broker."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from tests.support.python_processes import spawn_python
from tests.support.waits import wait_until

from rollbook_ops.devstack import processes
from rollbook_ops.devstack.workers import responding_workers
from rollbook_shared.database.schema import DEFAULT_SCHEMA


class Workers:
    """Starts worker processes on one database and broker, and ends those that are left."""

    def __init__(
        self,
        database_url: str,
        broker_url: str,
        logs: Path,
        *,
        schema: str = DEFAULT_SCHEMA,
        operator_url: str | None = None,
    ) -> None:
        """operator_url: the broker, as who may ask the workers; None: as they themselves."""
        self.logs = logs
        self._environment = os.environ | {
            "ROLLBOOK_DATABASE_URL": database_url,
            "ROLLBOOK_BROKER_URL": broker_url,
            "ROLLBOOK_SCHEMA": schema,
        }
        self._operator_url = operator_url or broker_url
        self._running: list[subprocess.Popen[bytes]] = []

    def start(
        self, name: str = "worker", *, pool: str = "threads", threads: int = 4, **settings: str
    ) -> subprocess.Popen[bytes]:
        """Start a worker on both queues, and wait until it answers."""
        worker = self.spawn(name, pool=pool, threads=threads, **settings)
        host = f"{name}@acceptance"
        wait_until(lambda: responding_workers(self._operator_url, {host}), what=f"{name} answering")
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
        return self.spawn_python(
            name,
            *("-m", "rollbook_worker", "--app", app, "--hostname", host, "--pool", pool, "--concurrency", str(threads)),
            *("--loglevel", loglevel, *more),
            **settings,
        )

    def start_maintenance(self, **settings: str) -> subprocess.Popen[bytes]:
        return self.spawn_python("maintenance", "-m", "rollbook_worker.maintenance", **settings)

    def log(self, name: str = "worker") -> str:
        return (self.logs / f"{name}.log").read_text()

    def stop(self) -> None:
        for process in self._running:
            processes.stop(process, by=signal.SIGKILL)

    def spawn_python(self, name: str, *args: str, **settings: str) -> subprocess.Popen[bytes]:
        process = spawn_python(args, log=self.logs / f"{name}.log", env=self._environment | settings)
        self._running.append(process)
        return process
