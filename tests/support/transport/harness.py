"""Starts workers of `recording_app`, sends them jobs, kills them, and counts."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import threading
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

import redis
from celery import Celery
from tests.support.brokers import connect_to_broker
from tests.support.python_processes import spawn_python
from tests.support.transport.recording_app import DONE, QUEUES, RUNS, make_app

from rollbook_ops.devstack import processes
from rollbook_ops.devstack.workers import responding_workers


def envelope(
    job: object, *, task: str = "note", queue: str = QUEUES[0], is_compact: bool = True, **properties: Any
) -> str:
    """A message as our client writes it, or as Celery's producers do, with spaces."""
    number = str(uuid.uuid4())
    embedded = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    body = base64.b64encode(json.dumps([[job], {}, embedded]).encode()).decode()
    headers = {"lang": "py", "task": task, "id": number, "root_id": number, "retries": 0, "ignore_result": True}
    delivery = {"exchange": "", "routing_key": queue}
    known = {"correlation_id": number, "reply_to": "", "delivery_mode": 2, "delivery_info": delivery, "priority": 0}
    return json.dumps(
        {
            "body": body,
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": headers,
            "properties": known | {"body_encoding": "base64", "delivery_tag": number} | properties,
        },
        separators=(",", ":") if is_compact else None,
    )


class TransportHarness:
    """A broker, and what is sent to and running on it."""

    def __init__(self, broker: str, logs: Path) -> None:
        self.broker = broker
        self.logs = logs
        self.redis = connect_to_broker(broker)
        self.app: Celery = make_app(broker)
        self._running: list[subprocess.Popen[bytes]] = []

    def start(
        self,
        name: str = "worker",
        *arguments: str,
        pool: str = "threads",
        concurrency: int = 2,
        queues: str = QUEUES[0],
        stock: bool = False,
        **options: Any,
    ) -> subprocess.Popen[bytes]:
        """Start a worker; does not wait for it."""
        settings = {"TRANSPORT_BROKER": self.broker, "TRANSPORT_OPTIONS": json.dumps(options)}
        worker = spawn_python(
            [
                *("-m", "celery", "-A", "tests.support.transport.recording_app", "worker"),
                *("--queues", queues),
                *("--hostname", f"{name}@transport", "--pool", pool, "--concurrency", str(concurrency)),
                *("--loglevel", "INFO", "--without-gossip", *(arguments or ("--without-mingle",))),
            ],
            log=self.logs / f"{name}.log",
            env=os.environ | settings | ({"TRANSPORT_STOCK": "1"} if stock else {}),
        )
        self._running.append(worker)
        return worker

    def answer(self, *names: str) -> bool:
        wanted = {f"{name}@transport" for name in names}
        return responding_workers(self.broker, wanted) == wanted

    def log(self, name: str = "worker") -> str:
        return (self.logs / f"{name}.log").read_text()

    def send(self, *jobs: object, queue: str = QUEUES[0], task: str = "note") -> None:
        """Send jobs, all at once."""
        self.redis.lpush(queue, *(envelope(job, task=task, queue=queue) for job in jobs))

    def done(self) -> set[Any]:
        return {json.loads(job) for job in self.redis.smembers(DONE)}

    def order(self) -> list[Any]:
        """The jobs in the order in which they were done, each as often as it was."""
        return [json.loads(job) for job in self.redis.lrange("order", 0, -1)]

    def runs(self) -> int:
        return int(self.redis.get(RUNS) or 0)

    def waiting(self, queue: str = QUEUES[0]) -> int:
        return int(self.redis.llen(queue))

    def claimed(self) -> int:
        return int(self.redis.hlen("unacked"))

    def is_drained(self) -> bool:
        # at one time: a message that is just being claimed is in neither place at two
        look = self.redis.pipeline(transaction=True)
        look.hlen("unacked")
        for queue in QUEUES:
            look.llen(queue)
        return not any(look.execute())

    def stop(self) -> None:
        for process in self._running:
            processes.stop(process, by=signal.SIGKILL)
        self.redis.close()


def kill(worker: subprocess.Popen[bytes]) -> None:
    """End a worker and its children without a chance to say anything."""
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()


class Stream:
    """Sends numbered jobs without a pause, `rate` a second, until the end of the `with`."""

    def __init__(self, harness: TransportHarness, rate: int) -> None:
        self._field = harness
        self._rate = rate
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.sent = 0

    def __enter__(self) -> Stream:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        some = max(1, self._rate // 100)
        while not self._stopped.wait(0.01):
            self._send(some)

    def _send(self, some: int) -> None:
        # the test may have cut it, and all of it may have arrived: the same again, also when the test is over
        while True:
            with suppress(redis.ConnectionError):
                self._field.send(*range(self.sent, self.sent + some))
                self.sent += some
                return
