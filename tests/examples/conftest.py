"""Examples as processes beside a real Rollbook, and a client for their HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.examples.backends import Running
from tests.support.worker_processes import Workers


@pytest.fixture
def running(database_url: str, broker_url: str, tmp_path: Path) -> Iterator[Running]:
    running = Running({"ROLLBOOK_DATABASE_URL": database_url, "ROLLBOOK_BROKER_URL": broker_url}, tmp_path)
    yield running
    running.stop()


@pytest.fixture
def workers(database_url: str, broker_url: str, tmp_path: Path) -> Iterator[Workers]:
    workers = Workers(database_url, broker_url, tmp_path)
    workers.start()
    yield workers
    workers.stop()
