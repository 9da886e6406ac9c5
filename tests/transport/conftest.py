"""Brokers for the transport: the session's Valkey, and a Redis where `redis-server` is on the PATH."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis
from tests.support.brokers import REDIS, connect_to_broker
from tests.support.transport.consumers import Consumer
from tests.support.transport.harness import TransportHarness
from tests.support.transport.makes import MAKES

from rollbook_ops.devstack import Servers


@pytest.fixture(scope="session")
def redis_url(starts_servers: None) -> Iterator[str]:
    with Servers(database_url="postgresql://not-needed", valkey_program=Path(REDIS or "")) as servers:
        yield servers.broker_url


@pytest.fixture(params=MAKES)
def broker(request: pytest.FixtureRequest, starts_servers: None) -> str:
    """An empty broker, of each make."""
    return _empty_broker(request, request.param)


@pytest.fixture
def client(broker: str) -> Iterator[redis.Redis]:
    with connect_to_broker(broker) as client:
        yield client


@pytest.fixture
def consume(broker: str) -> Iterator[Callable[..., Consumer]]:
    """Make consumers on the broker; they end with the test."""
    with ExitStack() as opened:

        def make(*queues: str, **options: Any) -> Consumer:
            return opened.enter_context(Consumer(broker, queues or ("first",), **options))

        yield make


@pytest.fixture
def harness(request: pytest.FixtureRequest, starts_servers: None, tmp_path: Path) -> Iterator[TransportHarness]:
    """An empty broker, to start workers on: Valkey, or of the make that the test names."""
    harness = TransportHarness(_empty_broker(request, getattr(request, "param", "valkey")), tmp_path)
    yield harness
    harness.stop()


def _empty_broker(request: pytest.FixtureRequest, make: str) -> str:
    url: str = request.getfixturevalue("broker_url" if make == "valkey" else "redis_url")
    with connect_to_broker(url) as client:
        client.flushdb()
    return url
