"""Real workers, to be watched from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.acceptance.conftest import Workers

from rollbook_worker.health.__main__ import trouble


@pytest.fixture
def workers(database_url: str, broker_url: str, tmp_path: Path) -> Iterator[Workers]:
    workers = Workers(database_url, broker_url, tmp_path)
    yield workers
    workers.stop()


@pytest.fixture
def health_file(tmp_path: Path) -> Path:
    return tmp_path / "health"


class Probe:
    """Asks as `python -m rollbook_worker.health` does."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def trouble(self, *, ready: bool = False, max_age: float = 10.0) -> str | None:
        """What is wrong; None: nothing."""
        return trouble(self._path, max_age=max_age, ready=ready)

    def run(self, *options: str) -> tuple[int, str]:
        """Run the command, as a supervisor does; give its exit code and what it said."""
        done = subprocess.run(
            [sys.executable, "-m", "rollbook_worker.health", *options],
            env=os.environ | {"ROLLBOOK_HEALTH_FILE": str(self._path)},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout.strip()


@pytest.fixture
def probe(health_file: Path) -> Probe:
    return Probe(health_file)


@pytest.fixture
def frozen() -> Iterator[Callable[[subprocess.Popen[bytes]], None]]:
    """Freeze processes; they go on when the test has ended."""
    stopped: list[subprocess.Popen[bytes]] = []

    def freeze(process: subprocess.Popen[bytes]) -> None:
        stopped.append(process)
        process.send_signal(signal.SIGSTOP)

    yield freeze
    for process in stopped:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
