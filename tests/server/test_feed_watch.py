"""What a watched feed hands to its listeners, whenever changes are published."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from tests.support.waits import DEADLINE_SECONDS

from rollbook import AsyncRollbook
from rollbook.errors import Unavailable
from rollbook.models import Feed
from rollbook_server.feed_watch import FeedKey, FeedState, FeedWatch
from rollbook_shared.feed_changes import hash_user

ANN = FeedKey("ann", "in_app")


class Feeds:
    """The feeds of a client; each read waits until it may go on."""

    def __init__(self) -> None:
        self.total = 0
        self.reads = 0
        self.fails = False
        self.may_read = asyncio.Event()
        self.may_read.set()
        self.reading = asyncio.Event()

    async def user_ids(self, user_id: str) -> tuple[str, ...]:
        return (user_id,)

    async def list(self, user_id: str, **options: Any) -> Feed:
        self.reads += 1
        total = self.total
        self.reading.set()
        await self.may_read.wait()
        if self.fails:
            raise Unavailable("away")
        return Feed(total=total)


class Client:
    def __init__(self) -> None:
        self.feeds = Feeds()


async def next_total(queue: asyncio.Queue[FeedState | None]) -> int:
    async with asyncio.timeout(DEADLINE_SECONDS):
        state = await queue.get()
    assert state is not None
    return state.counts.total


def test_a_change_during_a_read_is_read_again() -> None:
    async def main() -> None:
        client = Client()
        watch = FeedWatch(cast(AsyncRollbook, client))
        queue: asyncio.Queue[FeedState | None] = asyncio.Queue()
        client.feeds.may_read.clear()
        watch.watch(ANN, queue.put_nowait)
        await client.feeds.reading.wait()
        client.feeds.total = 1  # committed after the read that is under way
        watch.changed([hash_user("ann")])
        client.feeds.may_read.set()
        assert [await next_total(queue), await next_total(queue)] == [0, 1]

    asyncio.run(main())


def test_changes_close_together_are_read_once_and_what_is_the_same_is_not_sent() -> None:
    async def main() -> None:
        client = Client()
        watch = FeedWatch(cast(AsyncRollbook, client))
        queue: asyncio.Queue[FeedState | None] = asyncio.Queue()
        watch.watch(ANN, queue.put_nowait)
        assert await next_total(queue) == 0
        reads = client.feeds.reads
        for _ in range(100):
            watch.changed([hash_user("ann"), hash_user("bo")])
        await asyncio.wait_for(_reads(client.feeds, reads + 1), DEADLINE_SECONDS)
        client.feeds.total = 1
        watch.changed([hash_user("ann")])
        assert await next_total(queue) == 1
        assert client.feeds.reads == reads + 2
        watch.stop()
        assert await queue.get() is None

    asyncio.run(main())


def test_a_failed_read_is_tried_again() -> None:
    async def main() -> None:
        client = Client()
        watch = FeedWatch(cast(AsyncRollbook, client))
        queue: asyncio.Queue[FeedState | None] = asyncio.Queue()
        client.feeds.fails = True
        watch.watch(ANN, queue.put_nowait)
        await asyncio.wait_for(_reads(client.feeds, 1), DEADLINE_SECONDS)
        client.feeds.fails, client.feeds.total = False, 7
        assert await next_total(queue) == 7

    asyncio.run(main())


async def _reads(feeds: Feeds, wanted: int) -> None:
    while feeds.reads < wanted:
        await asyncio.sleep(0.01)
