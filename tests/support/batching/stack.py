"""Real workers on a broker and a database."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import psycopg
from tests.support.brokers import connect_to_broker
from tests.support.python_processes import spawn_python
from tests.support.waits import wait_until

from rollbook import JobHandle, Rollbook
from rollbook_ops.devstack import processes
from rollbook_ops.devstack.workers import responding_workers
from rollbook_shared.jobs.codec import decode


class BatchingStack:
    """A broker and a database, jobs that are sent, and workers."""

    def __init__(self, broker_url: str, database_url: str, logs: Path) -> None:
        self.broker_url = broker_url
        self.database_url = database_url
        self.logs = logs
        self.broker = connect_to_broker(broker_url)
        self.broker.flushdb()
        self.rb = Rollbook(broker_url=broker_url, database_url=database_url)
        self._running: list[subprocess.Popen[bytes]] = []

    def start(
        self, name: str, *, pool: str = "threads", app: str = "rollbook_worker.app", ready: bool = True, **settings: str
    ) -> subprocess.Popen[bytes]:
        """Start a worker, by default wait until it answers."""
        host = f"{name}@batching"
        environment = {"ROLLBOOK_BROKER_URL": self.broker_url, "ROLLBOOK_DATABASE_URL": self.database_url}
        worker = spawn_python(
            ["-m", "rollbook_worker", "--app", app, "--hostname", host, "--pool", pool],
            log=self.logs / f"{name}.log",
            env=os.environ | environment | settings,
        )
        self._running.append(worker)
        if ready:
            wait_until(lambda: responding_workers(self.broker_url, {host}), what=f"{name} answering")
        return worker

    def send(self, name: str, number: int) -> list[JobHandle]:
        """Identify as many users, each by a job of its own."""
        return [self.rb.users.identify(f"{name}-{n}", {"n": n}, job_id=f"{name}-{n}") for n in range(number)]

    def finished(self, name: str) -> set[str]:
        """The ids of the jobs of this name that are in the database."""
        with psycopg.connect(self.database_url) as connection:
            rows = connection.execute("SELECT id FROM rollbook.jobs WHERE id LIKE %s", (f"{name}-%",))
            return {id_ for (id_,) in rows}

    def dead_letters(self, name: str) -> int:
        """How many of the jobs of this name are dead letters."""
        with psycopg.connect(self.database_url) as connection:
            counted = "SELECT count(*) FROM rollbook.dead_letters WHERE id LIKE %s"
            (number,) = connection.execute(counted, (f"{name}-%",)).fetchone() or (0,)
            return int(number)

    def transactions(self, name: str) -> int:
        """How many transactions the jobs of this name took."""
        with psycopg.connect(self.database_url) as connection:
            counted = "SELECT count(DISTINCT xmin::text) FROM rollbook.jobs WHERE id LIKE %s"
            (number,) = connection.execute(counted, (f"{name}-%",)).fetchone() or (0,)
            return int(number)

    def waiting(self) -> set[str]:
        """The ids of the jobs in the queue."""
        bodies = [json.loads(message)["body"] for message in self.broker.lrange("default", 0, -1)]
        return {decode(json.loads(body)[0][0]).id for body in bodies}

    def messages(self) -> list[Any]:
        """Those that wait and those that a worker holds, at one time: one that is being claimed is in one place."""
        look = self.broker.pipeline(transaction=True)
        look.hvals("unacked")
        look.lrange("default", 0, -1)
        held, waiting = look.execute()
        return [*(json.loads(entry)[0] for entry in held), *map(json.loads, waiting)]

    def unacknowledged(self) -> int:
        return int(self.broker.hlen("unacked"))

    def is_drained(self) -> bool:
        return not self.broker.llen("default") and not self.unacknowledged()

    def log(self, name: str) -> str:
        return (self.logs / f"{name}.log").read_text()

    def close(self) -> None:
        for process in self._running:
            processes.stop(process, by=signal.SIGKILL)
        self.rb.close()
        self.broker.close()
