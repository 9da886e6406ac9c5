"""A feed's changes as server-sent events."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from typing import Final

import orjson

from rollbook_server.access.permissions import Permission
from rollbook_server.api.message_filters import FILTER_PARAMETERS, filter_of
from rollbook_server.api.message_shapes import FeedCounts, counts_as_json
from rollbook_server.call import Call
from rollbook_server.feed_watch import FeedKey, FeedState, FeedWatch, ListenerKind, feed_key
from rollbook_server.http.answers import Answer
from rollbook_server.http.errors import unavailable
from rollbook_server.observability.recorder import Limit
from rollbook_server.routes import ApiRoute, Parameter

KEEP_ALIVE_SECONDS: Final = 25.0
"""Proxies close connections on which nothing is sent for a minute."""
_RETRY_SECONDS: Final = (2.0, 10.0)
"""After how long a browser connects again; each is given another time, so that not all come at once."""


class FeedEvent(FeedCounts):
    """The data of an event `feed`."""

    newest: str | None


async def list_events(call: Call) -> Answer:
    """Follow a feed: an event `feed` with its counts and newest cursor at once, and after each change.

    The stream ends when the user token expires, and when the server stops; a browser's EventSource connects again.
    EventSource sets no headers: the key and the user token may stand in the query for this call.
    """
    services = call.services
    if services.feeds.connections >= services.settings.max_listeners:
        services.recorder.record_overload(Limit.LISTENERS)
        raise unavailable("the server has as many listeners as it may", code="too_many_listeners")
    channel = services.registry.current.channel_type(call.path["channel_id"])
    where = filter_of(call.query)
    key = feed_key(call.path["user_id"], channel, orjson.dumps(_filters(call)).decode(), where)
    return Answer(
        stream=_events(services.feeds, key, call.caller.expires_at),
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


def _filters(call: Call) -> list[tuple[str, list[str]]]:
    names = [parameter.name.removesuffix("[]") for parameter in FILTER_PARAMETERS] + ["workflow_run_id"]
    return [(name, list(texts)) for name in names if (texts := call.query.texts(name))]


async def _events(feeds: FeedWatch, key: FeedKey, expires_at: int | None) -> AsyncIterator[bytes]:
    queue: asyncio.Queue[FeedState | None] = asyncio.Queue(1)

    def listen(state: FeedState | None) -> None:
        if queue.full():  # a slow client gets the newest state, and not all of them
            queue.get_nowait()
        queue.put_nowait(state)

    feeds.watch(key, listen)
    try:
        with feeds.connected(ListenerKind.STREAM):
            yield b"retry: %d\n\n" % (random.uniform(*_RETRY_SECONDS) * 1_000)
            while (remaining := KEEP_ALIVE_SECONDS if expires_at is None else expires_at - time.time()) > 0:
                try:
                    async with asyncio.timeout(min(remaining, KEEP_ALIVE_SECONDS)):
                        state = await queue.get()
                except TimeoutError:
                    yield b": keep-alive\n\n"
                    continue
                if state is None:
                    return
                yield _event(state)
    finally:
        feeds.unwatch(key, listen)


def _event(state: FeedState) -> bytes:
    event = {**counts_as_json(state.counts), "newest": state.newest}
    return b"event: feed\ndata: " + orjson.dumps(event) + b"\n\n"


ENDPOINTS: Final = (
    ApiRoute(
        method="GET",
        path="/v1/users/{user_id}/feeds/{channel_id}/events",
        handler=list_events,
        permission=Permission.FEED_READ,
        answer=FeedEvent,
        query=(
            Parameter("api_key", "The key, where no header can be set.", {"type": "string"}),
            Parameter("user_token", "The user token, where no header can be set.", {"type": "string"}),
            *FILTER_PARAMETERS,
        ),
        streams=True,
        tag="Feeds",
    ),
)
