"""The health command, processes that a test freezes, and a database that the doctor looks at."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from tests.support.operations.probe import Probe


@pytest.fixture
def url(fresh_database_url: str) -> str:
    return fresh_database_url


@pytest.fixture
def connection(url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


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
