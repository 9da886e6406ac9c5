"""The relay writes the same heartbeat file as the workers, and the same command checks it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import psycopg
import pytest
from tests.support.operations.probe import Probe
from tests.support.python_processes import spawn_python
from tests.support.waits import wait_until

from rollbook import Rollbook
from rollbook.outbox import create_table
from rollbook_ops.devstack import processes
from rollbook_ops.relay.relay import HANG_SECONDS, Relay, RelayLoop
from rollbook_shared.observability.health_file import HealthState

FRESH = 5.0
"""Seconds. The heartbeat is written each second, on a busy machine perhaps later."""

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start(database_url: str, broker_url: str, health_file: Path, tmp_path: Path) -> Iterator[Start]:
    """Start a relay as an operator does."""
    with psycopg.connect(database_url) as connection:
        create_table(connection.execute)
    started: list[subprocess.Popen[bytes]] = []

    def start(broker: str = broker_url) -> subprocess.Popen[bytes]:
        given = {
            "ROLLBOOK_DATABASE_URL": database_url,
            "ROLLBOOK_BROKER_URL": broker,
            "ROLLBOOK_HEALTH_FILE": str(health_file),
        }
        command = ["-c", "from rollbook_ops.cli import main; main()", "relay"]
        started.append(spawn_python(command, log=tmp_path / "relay.log", env=os.environ | given))
        return started[-1]

    yield start
    for process in started:
        processes.kill(process)


def test_the_heartbeat_stops_with_the_relay(
    start: Start, health_file: Path, probe: Probe, frozen: Callable[[subprocess.Popen[bytes]], None]
) -> None:
    relay = start()
    wait_until(lambda: probe.trouble(ready=True) is None, what="being ready")
    assert probe.run("--ready") == (0, "healthy")

    frozen(relay)
    wait_until(lambda: "hangs or was killed" in (probe.trouble(max_age=FRESH) or ""), what="looking dead")
    relay.send_signal(signal.SIGCONT)
    wait_until(lambda: probe.trouble(ready=True, max_age=FRESH) is None, what="being well again")

    assert processes.stop(relay, by=signal.SIGTERM) == 0
    assert not health_file.exists()


def test_a_relay_without_redis_is_alive_and_not_ready(start: Start, database_url: str, probe: Probe) -> None:
    with psycopg.connect(database_url) as connection:
        Rollbook().outbox(connection).users.identify("ann", {})
    start(broker="redis://127.0.0.1:1/0")

    wait_until(lambda: probe.trouble(ready=True) == "the process is waiting, and takes no jobs", what="waiting")
    assert probe.trouble() is None


def test_a_hanging_relay_stops_its_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    turns = RelayLoop(cast(Relay, SimpleNamespace(send=int, reconcile=int)))
    begin = time.monotonic()

    monkeypatch.setattr(time, "monotonic", lambda: begin + HANG_SECONDS - 1)
    assert turns.state() is HealthState.READY
    monkeypatch.setattr(time, "monotonic", lambda: begin + HANG_SECONDS + 1)
    assert turns.state() is None
