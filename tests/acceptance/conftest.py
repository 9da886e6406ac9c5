"""Servers that keep what they confirmed through a kill."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.brokers import broker_program
from tests.support.databases import migrate
from tests.support.worker_processes import Workers

from rollbook import Rollbook
from rollbook_ops.devstack import Servers


@pytest.fixture(scope="module")
def durable_servers(starts_servers: None) -> Iterator[Servers]:
    """Servers that keep what they confirmed through a kill; the test may stop them."""
    servers = Servers(durable=True, append_only=True, append_fsync="always", valkey_program=broker_program())
    with servers:
        yield servers


@pytest.fixture(scope="module")
def durable_database_url(durable_servers: Servers) -> str:
    migrate(durable_servers.database_url)
    return durable_servers.database_url


@pytest.fixture
def durable_workers(durable_servers: Servers, durable_database_url: str, tmp_path: Path) -> Iterator[Workers]:
    workers = Workers(durable_database_url, durable_servers.broker_url, tmp_path)
    yield workers
    workers.stop()


@pytest.fixture
def durable_rb(durable_servers: Servers, durable_database_url: str) -> Iterator[Rollbook]:
    with Rollbook(database_url=durable_database_url, broker_url=durable_servers.broker_url) as rb:
        yield rb
