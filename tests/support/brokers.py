"""Brokers of the tests: the program that they start, the Redis of this machine, and clients with long timeouts."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

import pytest
import redis
from tests.support.waits import DEADLINE_SECONDS, wait_until

from rollbook_ops.devstack.binaries import find_valkey
from rollbook_shared.broker_url import parse_broker_url

REDIS: Final = shutil.which("redis-server")
REDIS_NEEDED: Final = pytest.mark.skipif(
    REDIS is None, reason="redis-server is not on the PATH (Debian: apt-get install redis-server)"
)


def broker_program() -> Path:
    """Valkey, or the program that ROLLBOOK_TEST_BROKER_PROGRAM names.

    With `redis-server` every test that starts, stops or kills a broker does so to a Redis.
    """
    if not (named := os.environ.get("ROLLBOOK_TEST_BROKER_PROGRAM")):
        return find_valkey()
    if not (found := shutil.which(named)):
        raise FileNotFoundError(f"ROLLBOOK_TEST_BROKER_PROGRAM: there is no {named}")
    return Path(found)


def connect_to_broker(url: str) -> redis.Redis:
    """A client that waits for an answer as long as a test waits for an event.

    redis-py gives up after 5 seconds, which a Redis that is busy with a message of 100 MB may take on a busy machine.
    """
    return redis.Redis.from_url(url, socket_timeout=DEADLINE_SECONDS, socket_connect_timeout=DEADLINE_SECONDS)


def wait_until_subscribed(url: str, channel: str) -> None:
    """Wait until a client listens to the channel."""
    name = parse_broker_url(url)[0].pubsub_channel(channel)
    with connect_to_broker(url) as client:
        wait_until(lambda: client.pubsub_numsub(name)[0][1] > 0)
