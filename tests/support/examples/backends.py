"""Examples as processes, and a client for their HTTP."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.repository import ROOT
from tests.support.waits import DEADLINE_SECONDS, wait_until

from rollbook_ops.devstack import processes
from rollbook_ops.devstack.endpoint import free_port

EXAMPLES = ROOT / "examples"


class Answer(NamedTuple):
    status: int
    body: Any


class Example:
    """A backend that listens."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process = process
        self.log = log
        self._url = f"http://127.0.0.1:{port}"

    def post(self, path: str, body: object) -> Answer:
        data = json.dumps(body).encode()
        return self._ask(urllib.request.Request(self._url + path, data, headers={"Content-Type": "application/json"}))

    def get(self, path: str) -> Answer:
        return self._ask(urllib.request.Request(self._url + path))

    def is_up(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            urllib.request.urlopen(self._url, timeout=DEADLINE_SECONDS).close()
        except urllib.error.HTTPError as error:
            error.close()
        except urllib.error.URLError:
            return False
        return True

    def _ask(self, request: urllib.request.Request) -> Answer:
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE_SECONDS) as response:
                return Answer(response.status, json.load(response))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, None)


class Running:
    """Starts examples with what they need to find Rollbook, and stops them."""

    def __init__(self, environment: dict[str, str], logs: Path) -> None:
        self._environment = os.environ | environment
        self._logs = logs
        self._processes: list[subprocess.Popen[bytes]] = []

    def backend(self, command: Callable[[int], Sequence[str]], *, port: int | None = None, **settings: str) -> Example:
        """Start `python COMMAND` with a port to listen on, and wait until it answers."""
        port, log = port or free_port(), self._logs / "backend.log"
        example = Example(self.start(log, *command(port), **settings), port, log)
        wait_until(example.is_up, what="the backend answering")
        return example

    def start(self, log: Path, *arguments: str, **settings: str) -> subprocess.Popen[bytes]:
        process = processes.spawn([sys.executable, *arguments], log=log, env=self._environment | settings, cwd=EXAMPLES)
        self._processes.append(process)
        return process

    def relay(self, outbox_url: str) -> None:
        # kept for no time, so that a test sees soon that a job is finished
        environment = {"ROLLBOOK_OUTBOX_URL": outbox_url, "ROLLBOOK_OUTBOX_KEEP_SECONDS": "0"}
        self.start(self._logs / "relay.log", "-m", "rollbook_ops.relay", **environment)

    def stop(self) -> None:
        for process in self._processes:
            processes.stop(process)
