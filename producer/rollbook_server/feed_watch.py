"""Watches feeds: reads one again when a worker says that it may have changed, and hands its counts to the listeners.

A worker publishes hashes of user ids. A feed is listed under the hash of each id whose messages it holds, and that list
is renewed before each read: what is committed after the read is published under a hash that is listed by then.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from rollbook import AsyncRollbook, MessageFilter
from rollbook.errors import RollbookError
from rollbook.models import Feed
from rollbook.queries.validation import checked_message_selection, checked_user_id
from rollbook_shared.backoff import Backoff
from rollbook_shared.feed_changes import hash_user

logger: Final = logging.getLogger("rollbook.server")

DEBOUNCE_SECONDS: Final = 0.05
"""Changes within this time are read together."""
RESYNC_SECONDS: Final = 300.0
"""How often each feed is read again although no change was published."""
_PAGE_ITEMS: Final = 20
_READS: Final = 4
"""At the same time: all other calls need connections too."""
_BACKOFF: Final = Backoff(first=0.5, longest=30.0)


@dataclass(frozen=True, slots=True)
class FeedKey:
    """Which feed, and which messages of it."""

    user_id: str
    channel: str
    options: str = ""
    """What `where` was made of."""
    where: MessageFilter | None = field(default=None, compare=False)


def feed_key(user_id: str, channel: str, options: str, where: MessageFilter) -> FeedKey:
    """The key of a feed that can be read.

    options: what `where` was made of.

    Raises:
        InvalidRequest: the user's id, the channel or a filter is invalid.
    """
    checked_message_selection(_PAGE_ITEMS, None, None, channel, "all", None, where, of_feed=True)
    return FeedKey(checked_user_id(user_id), channel, options, where)


@dataclass(frozen=True, kw_only=True, slots=True)
class FeedState:
    """A feed at one time: counts and newest page are from the same statement."""

    counts: Feed
    """The feed without its items."""
    newest: str | None
    """The cursor of the newest message."""
    digest: int
    """Differs if a count or something in the newest page does."""

    @classmethod
    def of(cls, feed: Feed) -> FeedState:
        """The state that the newest page of a feed shows."""
        items = [(each.id, each.seen_at, each.read_at, each.interacted_at, each.archived_at) for each in feed.items]
        return cls(
            counts=replace(feed, items=(), after=None),
            newest=feed.items[0].cursor if feed.items else None,
            digest=hash((feed.total, feed.unseen, feed.unread, *items)),
        )


class ListenerKind(StrEnum):
    """How a client is connected."""

    SOCKET = "socket"
    STREAM = "stream"


Listener = Callable[[FeedState | None], None]
"""Gets each state that differs from the one before; None: the server stops. It does not block."""


class FeedWatch:
    """The watched feeds of one process. Not safe for threads: all calls come from one event loop."""

    def __init__(self, client: AsyncRollbook) -> None:
        self._client = client
        self._feeds: dict[FeedKey, _WatchedFeed] = {}
        self._by_hash: dict[bytes, set[_WatchedFeed]] = {}
        self._permits = asyncio.Semaphore(_READS)
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_stopped = False
        self._open = dict.fromkeys(ListenerKind, 0)

    @contextmanager
    def connected(self, kind: ListenerKind) -> Iterator[None]:
        """A client is connected for the length of a `with`."""
        self._open[kind] += 1
        try:
            yield
        finally:
            self._open[kind] -= 1

    @property
    def connections(self) -> int:
        """Open sockets and event streams."""
        return sum(self._open.values())

    def listeners(self, kind: ListenerKind) -> int:
        """Those of one kind."""
        return self._open[kind]

    def watch(self, key: FeedKey, listener: Listener) -> None:
        """Call the listener with the feed's state as soon as it is read, and then whenever it changes."""
        feed = self._feeds.get(key)
        if feed is None:
            feed = self._feeds[key] = _WatchedFeed(key)
            self._list(feed, (key.user_id,))
        feed.listeners[listener] = None
        self._schedule(feed, 0)

    def unwatch(self, key: FeedKey, listener: Listener) -> None:
        """Call the listener no more."""
        feed = self._feeds.get(key)
        if feed is not None and feed.listeners.pop(listener, _ABSENT) is not _ABSENT and not feed.listeners:
            del self._feeds[key]
            feed.cancel()
            self._list(feed, ())

    def changed(self, hashes: Iterable[bytes]) -> None:
        """The feeds of these users may have changed."""
        for each in hashes:
            for feed in self._by_hash.get(each, ()):
                self._schedule(feed, DEBOUNCE_SECONDS)

    def resync(self, spread: float) -> None:
        """Any feed may have changed: read all of them, spread over so many seconds."""
        for feed in self._feeds.values():
            self._schedule(feed, random.uniform(0, spread))

    def stop(self) -> None:
        """Notify all listeners that the server stops, and read no more."""
        self._is_stopped = True
        for feed in list(self._feeds.values()):
            feed.cancel()
            for listener in list(feed.listeners):
                listener(None)
        for task in self._tasks:
            task.cancel()

    @property
    def is_stopped(self) -> bool:
        """Whether the server stops."""
        return self._is_stopped

    @property
    def feeds(self) -> int:
        """How many feeds are watched."""
        return len(self._feeds)

    def _schedule(self, feed: _WatchedFeed, delay: float) -> None:
        if self._is_stopped:
            return
        if feed.is_reading:  # what it reads may be from before the change
            feed.is_stale = True
            return
        loop = asyncio.get_running_loop()
        if feed.timer is not None:
            if feed.timer.when() <= loop.time() + delay:
                return
            feed.timer.cancel()
        feed.timer = loop.call_later(delay, self._begin, feed)

    def _begin(self, feed: _WatchedFeed) -> None:
        feed.timer = None
        feed.is_reading = True
        task = asyncio.get_running_loop().create_task(self._read(feed))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _read(self, feed: _WatchedFeed) -> None:
        key = feed.key
        try:
            async with self._permits:
                feed.is_stale = False
                # the ids come first: what is committed after the read of the feed then has an id that is listed
                ids = await self._client.feeds.user_ids(key.user_id)
                if not feed.listeners:
                    return
                self._list(feed, (key.user_id, *ids))
                found = await self._client.feeds.list(
                    key.user_id, channel=key.channel, where=key.where, limit=_PAGE_ITEMS
                )
        except RollbookError as error:
            if not feed.failures:
                logger.warning("a watched feed could not be read (%s); trying again", type(error).__name__)
            again_after: float | None = _BACKOFF.delay(feed.failures)
            feed.failures += 1
        else:
            again_after = DEBOUNCE_SECONDS if feed.is_stale else None
            feed.failures = 0
            feed.notify(FeedState.of(found))
        finally:
            feed.is_reading = False
        if again_after is not None and feed.listeners:
            self._schedule(feed, again_after)

    def _list(self, feed: _WatchedFeed, user_ids: Iterable[str]) -> None:
        """List the feed under the hashes of these users, and no others."""
        wanted = frozenset(map(hash_user, user_ids))
        for each in feed.hashes - wanted:
            others = self._by_hash[each]
            others.discard(feed)
            if not others:
                del self._by_hash[each]
        for each in wanted - feed.hashes:
            self._by_hash.setdefault(each, set()).add(feed)
        feed.hashes = wanted


_ABSENT: Final = object()


class _WatchedFeed:
    """A feed with its listeners, and the digest of the state that each has."""

    __slots__ = ("failures", "hashes", "is_reading", "is_stale", "key", "listeners", "timer")

    def __init__(self, key: FeedKey) -> None:
        self.key = key
        self.listeners: dict[Listener, int | None] = {}
        self.hashes: frozenset[bytes] = frozenset()
        self.timer: asyncio.TimerHandle | None = None
        self.is_reading = False
        self.is_stale = False
        self.failures = 0

    def notify(self, state: FeedState) -> None:
        for listener, digest in list(self.listeners.items()):
            if digest != state.digest:
                self.listeners[listener] = state.digest
                listener(state)

    def cancel(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
