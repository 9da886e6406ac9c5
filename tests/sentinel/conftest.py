"""A Sentinel set, and workers that know only the sentinels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.sentinel.sentinels import SentinelSet
from tests.support.worker_processes import Workers

from rollbook import Rollbook


@pytest.fixture(scope="module")
def sentinels(starts_servers: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SentinelSet]:
    started = SentinelSet(tmp_path_factory.mktemp("sentinels"))
    try:
        started.start()
        yield started
    finally:
        started.stop()


@pytest.fixture
def workers(database_url: str, sentinels: SentinelSet, tmp_path: Path) -> Iterator[Workers]:
    workers = Workers(database_url, sentinels.url, tmp_path)
    yield workers
    workers.stop()


@pytest.fixture
def rb(database_url: str, sentinels: SentinelSet) -> Iterator[Rollbook]:
    with Rollbook(database_url=database_url, broker_url=sentinels.url) as rb:
        yield rb
