"""Listens to the broker's Redis for users whose feeds may have changed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, Final

import redis.exceptions

from rollbook_server.feed_watch import RESYNC_SECONDS, FeedWatch
from rollbook_shared.backoff import Backoff
from rollbook_shared.broker_url import BrokerEndpoint, parse_broker_url
from rollbook_shared.feed_changes import CHANNEL, decode_changes
from rollbook_shared.reasons import safe_reason

logger: Final = logging.getLogger("rollbook.server")

CONNECT_SECONDS: Final = 1.0
PING_SECONDS: Final = 5.0
SILENCE_SECONDS: Final = 12.0
"""After which the connection counts as lost: an answer to a ping is missing."""
FEEDS_PER_SECOND: Final = 200
"""How fast all feeds are read again."""
_BACKOFF: Final = Backoff(first=0.1, longest=5.0)
_FAILURES: Final = (redis.exceptions.RedisError, OSError, TimeoutError)


@contextlib.asynccontextmanager
async def listening(broker_url: str, feeds: FeedWatch) -> AsyncIterator[None]:
    """Hand what workers publish to `feeds` for the length of a `with`.

    Raises:
        NotConfigured: this is no URL of a Redis.
    """
    endpoints = deque(parse_broker_url(broker_url))
    tasks = [asyncio.create_task(_listen(endpoints, feeds)), asyncio.create_task(_resync(feeds))]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _resync(feeds: FeedWatch) -> None:
    """Read all feeds from time to time, in case a worker died before it published a change."""
    while True:
        await asyncio.sleep(RESYNC_SECONDS)
        feeds.resync(RESYNC_SECONDS)


async def _listen(endpoints: deque[BrokerEndpoint], feeds: FeedWatch) -> None:
    failures = 0
    while True:
        try:
            async for payload in _payloads(endpoints[0]):
                failures = 0
                hashes = () if payload is None else decode_changes(payload)
                if payload is None or hashes is None:
                    feeds.resync(feeds.feeds / FEEDS_PER_SECOND)
                else:
                    feeds.changed(hashes)
        except _FAILURES as error:
            if not failures:
                logger.warning("changes of feeds are not received: %s; connecting again", safe_reason(error))
            endpoints.rotate(-1)  # this server may be away, or a replica now
        await asyncio.sleep(_BACKOFF.delay(failures))
        failures += 1


async def _payloads(endpoint: BrokerEndpoint) -> AsyncIterator[bytes | None]:
    """None as soon as Redis has subscribed us, then each payload.

    Raises:
        redis.exceptions.RedisError, OSError, TimeoutError: the connection is lost.
    """
    connection = await endpoint.connect_async(connect_seconds=CONNECT_SECONDS)
    pings = asyncio.create_task(_ping(connection))
    try:
        await connection.send_command("SUBSCRIBE", endpoint.pubsub_channel(CHANNEL))
        while True:
            async with asyncio.timeout(SILENCE_SECONDS):
                message = await connection.read_response(timeout=math.inf, push_request=True)
            match message:
                case [b"subscribe", _, _]:
                    yield None
                case [b"message", _, bytes(payload)]:
                    yield payload
                case _:
                    pass  # the answer to a ping
    finally:
        pings.cancel()
        await connection.disconnect(nowait=True)


async def _ping(connection: Any) -> None:
    with contextlib.suppress(*_FAILURES):  # who reads sees the same failure
        while True:
            await asyncio.sleep(PING_SECONDS)
            await connection.send_command("PING", check_health=False)
