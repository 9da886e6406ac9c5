"""A client made at import, before gunicorn forks its workers, works in each of them, whatever kind they are."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.support.brokers import connect_to_broker
from tests.support.producer.bulk_queue import queued_users
from tests.support.waits import DEADLINE_SECONDS, wait_until

from rollbook_ops.devstack import processes

APPLICATION = """
import os
import rollbook

rb = rollbook.Rollbook(broker_url=os.environ["BROKER"], database_url=os.environ["DATABASE"])
buffered = rb.buffered(max_seconds=3600)

def application(environ, start_response):
    match environ["PATH_INFO"].split("/")[1:]:
        case ["buffer", user_id]:
            buffered.users.identify(user_id)
        case ["flush", user_id]:
            buffered.users.identify(user_id)
            buffered.flush()
        case ["send", user_id]:
            rb.users.delete(user_id)
        case ["read"]:
            rb.users.list()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"done"]
"""


class Backend:
    """gunicorn with one worker, on a socket in a folder."""

    def __init__(self, folder: Path, broker_url: str, database_url: str, kind: str) -> None:
        (folder / "backend.py").write_text(APPLICATION)
        self.broker_url = broker_url
        self._socket = folder / "socket"
        self._log = folder / "gunicorn.log"
        self.process: subprocess.Popen[bytes] = processes.spawn(
            [
                *(
                    sys.executable,
                    "-m",
                    "gunicorn",
                    "backend:application",
                    "--preload",
                    "--bind",
                    f"unix:{self._socket}",
                ),
                *("--worker-class", kind, "--workers", "1", "--threads", "8" if kind == "gthread" else "1"),
                *("--timeout", "0"),
            ],
            log=self._log,
            env=os.environ | {"BROKER": broker_url, "DATABASE": database_url},
            cwd=folder,
        )
        wait_until(lambda: "Booting worker" in self.log(), what="a worker")

    def log(self) -> str:
        return self._log.read_text() if self._log.exists() else ""

    def get(self, path: str) -> int:
        connection = http.client.HTTPConnection("localhost", timeout=DEADLINE_SECONDS)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(DEADLINE_SECONDS)
        connection.sock.connect(str(self._socket))
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        finally:
            connection.close()

    def stop(self) -> int:
        return processes.stop(self.process, grace=DEADLINE_SECONDS, by=signal.SIGTERM)


@pytest.fixture(params=["sync", "gthread", "gevent"])
def backend(request: pytest.FixtureRequest, tmp_path: Path, broker_url: str, database_url: str) -> Iterator[Backend]:
    with connect_to_broker(broker_url) as client:
        client.flushdb()
    backend = Backend(tmp_path, broker_url, database_url, request.param)
    yield backend
    processes.stop(backend.process, by=signal.SIGKILL)


def test_every_call_works_and_the_exit_sends_what_is_buffered(backend: Backend) -> None:
    flushed, kept = [f"f{number}" for number in range(8)], ["k0", "k1"]

    with ThreadPoolExecutor(8) as executor:
        statuses = [*executor.map(lambda id_: backend.get(f"/flush/{id_}"), flushed)]
        assert queued_users(backend.broker_url) == flushed
        statuses += executor.map(lambda id_: backend.get(f"/buffer/{id_}"), kept)
        statuses += executor.map(lambda id_: backend.get(f"/send/{id_}"), flushed)
        statuses += executor.map(backend.get, ["/read"] * 4)

    assert statuses == [200] * len(statuses), backend.log()
    assert backend.stop() == 0
    assert queued_users(backend.broker_url) == flushed + kept
    assert "not sent" not in backend.log()
