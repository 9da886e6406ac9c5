"""Brokers for the transport: the session's Valkey, and a Redis where `redis-server` is on the PATH."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis
from tests.transport.consumers import Consumer
from tests.transport.harness import Field

from rollcall.local import Servers

REDIS = shutil.which("redis-server")


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    with Servers(database_url="postgresql://not-needed", valkey_program=Path(REDIS or "")) as servers:
        yield servers.broker_url


@pytest.fixture(params=["valkey", "redis"] if REDIS else ["valkey"])
def broker(request: pytest.FixtureRequest) -> str:
    """An empty broker, of each make."""
    url: str = request.getfixturevalue("broker_url" if request.param == "valkey" else "redis_url")
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    return url


@pytest.fixture
def client(broker: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(broker) as client:
        yield client


@pytest.fixture
def consume(broker: str) -> Iterator[Callable[..., Consumer]]:
    """Make consumers on the broker; they end with the test."""
    with ExitStack() as opened:

        def make(*queues: str, **options: Any) -> Consumer:
            return opened.enter_context(Consumer(broker, queues or ("first",), **options))

        yield make


@pytest.fixture
def field(broker_url: str, tmp_path: Path) -> Iterator[Field]:
    """An empty Valkey, to start workers on."""
    field = Field(broker_url, tmp_path)
    field.redis.flushdb()
    yield field
    field.stop()
