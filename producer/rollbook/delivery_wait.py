"""Waits for deliveries: workers publish in Redis for which channels they made some, and the database is asked once a
second.

The subscription stands before the database is asked, so nothing that is committed in between is missed.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Final

import redis.exceptions

from rollbook_shared.broker_url import parse_broker_url
from rollbook_shared.due_deliveries import REDIS_CHANNEL, names_channel

POLL_SECONDS: Final = 1.0
"""How often the database is asked: no worker publishes that a lease ended, or that a retry is due."""
CONNECT_SECONDS: Final = 1.0
_FAILURES: Final = (redis.exceptions.RedisError, OSError, TimeoutError)


def wait_for_deliveries(is_due: Callable[[], bool], channel: str, broker_url: str | None, timeout: float) -> bool:
    """Wait until `is_due`, for at most `timeout` seconds.

    Raises:
        Exception: what `is_due` raises. A broker that is away is not waited for.
    """
    end = time.monotonic() + timeout
    if is_due():  # the usual case, which needs no subscription
        return True
    with _subscription(broker_url) as next_payload:
        while True:
            if is_due():
                return True
            if (left := end - time.monotonic()) <= 0:
                return False
            poll_at = time.monotonic() + min(POLL_SECONDS, left)
            while (wait := poll_at - time.monotonic()) > 0:
                payload = next_payload(wait)
                if payload is not None and names_channel(payload, channel):
                    break


async def async_wait_for_deliveries(
    is_due: Callable[[], Awaitable[bool]], channel: str, broker_url: str | None, timeout: float
) -> bool:
    """The same, for asyncio."""
    end = time.monotonic() + timeout
    if await is_due():
        return True
    async with _async_subscription(broker_url) as next_payload:
        while True:
            if await is_due():
                return True
            if (left := end - time.monotonic()) <= 0:
                return False
            poll_at = time.monotonic() + min(POLL_SECONDS, left)
            while (wait := poll_at - time.monotonic()) > 0:
                payload = await next_payload(wait)
                if payload is not None and names_channel(payload, channel):
                    break


def _payload_in(message: Any) -> Any:
    match message:
        case [b"message", _, payload]:
            return payload
        case _:
            return None


@contextlib.contextmanager
def _subscription(broker_url: str | None) -> Iterator[Callable[[float], Any]]:
    """A function that waits some seconds for a payload; if the broker is away it only waits."""
    connection = _subscribe(broker_url)

    def next_payload(seconds: float) -> Any:
        nonlocal connection
        if connection is None:
            time.sleep(seconds)
            return None
        try:
            if not connection.can_read(timeout=seconds):
                return None
            return _payload_in(connection.read_response(push_request=True))
        except _FAILURES:
            connection.disconnect()
            connection = None
            return None

    try:
        yield next_payload
    finally:
        if connection is not None:
            connection.disconnect()


def _subscribe(broker_url: str | None) -> Any:
    for endpoint in parse_broker_url(broker_url) if broker_url else ():
        with contextlib.suppress(*_FAILURES):
            connection = endpoint.connect(connect_seconds=CONNECT_SECONDS, answer_seconds=CONNECT_SECONDS)
            connection.send_command("SUBSCRIBE", endpoint.pubsub_channel(REDIS_CHANNEL))
            connection.read_response(push_request=True)
            return connection
    return None


@contextlib.asynccontextmanager
async def _async_subscription(broker_url: str | None) -> AsyncIterator[Callable[[float], Awaitable[Any]]]:
    connection = await _async_subscribe(broker_url)

    async def next_payload(seconds: float) -> Any:
        nonlocal connection
        if connection is None:
            await asyncio.sleep(seconds)
            return None
        try:
            return _payload_in(
                await connection.read_response(timeout=seconds, disconnect_on_error=False, push_request=True)
            )
        except (redis.exceptions.TimeoutError, TimeoutError):
            return None
        except _FAILURES:
            await connection.disconnect(nowait=True)
            connection = None
            return None

    try:
        yield next_payload
    finally:
        if connection is not None:
            await connection.disconnect(nowait=True)


async def _async_subscribe(broker_url: str | None) -> Any:
    for endpoint in parse_broker_url(broker_url) if broker_url else ():
        with contextlib.suppress(*_FAILURES):
            connection = await endpoint.connect_async(connect_seconds=CONNECT_SECONDS)
            await connection.send_command("SUBSCRIBE", endpoint.pubsub_channel(REDIS_CHANNEL))
            await connection.read_response(timeout=CONNECT_SECONDS, push_request=True)
            return connection
    return None
