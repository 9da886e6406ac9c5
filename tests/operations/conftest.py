"""The health command, and processes that a test freezes."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.operations.probe import Probe


@pytest.fixture
def health_file(tmp_path: Path) -> Path:
    return tmp_path / "health"


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
