"""Acknowledgements and releases that Redis has not received yet.

They outlive the connection: the next channel of this process to the same broker sends them. A job that is done must not
be done again because its acknowledgement met a broken connection. And a message that could not be released must not
wait for the end of its lease, which would count as a failed delivery although no worker died.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Hashable, Sequence
from typing import Final, NamedTuple

_MAX_TAGS: Final = 1_000
"""Tags in one call: Lua's stack holds about 8,000 values."""


class PendingAcks:
    """Tags of messages that are done and that Redis still holds. Any thread may add one."""

    def __init__(self) -> None:
        self._tags: deque[str] = deque()

    def add(self, tag: str) -> None:
        self._tags.append(tag)

    def take(self) -> list[str]:
        """Take some, oldest first. If they cannot be sent, hand them to `put_back`."""
        return [self._tags.popleft() for _ in range(min(len(self._tags), _MAX_TAGS))]

    def put_back(self, tags: list[str]) -> None:
        self._tags.extendleft(reversed(tags))

    def __bool__(self) -> bool:
        return bool(self._tags)


class PendingRelease(NamedTuple):
    """Messages of one channel, in their order, that go back to their queues."""

    tags: Sequence[str]
    delivered: bool
    """A task may have started them."""
    held_at: float
    """When Redis last confirmed, by its own clock, that they are ours. A worker that claimed one since keeps it."""


class PendingReleases:
    """Releases that failed because Redis was away."""

    def __init__(self) -> None:
        self._releases: deque[PendingRelease] = deque()

    def add(self, tags: Sequence[str], *, delivered: bool, held_at: float) -> None:
        if tags:
            self._releases.append(PendingRelease(tags, delivered, held_at))

    def take(self) -> PendingRelease | None:
        """Take the oldest. If it cannot be sent, hand it to `put_back`."""
        return self._releases.popleft() if self._releases else None

    def put_back(self, release: PendingRelease) -> None:
        self._releases.appendleft(release)


_acks: Final[defaultdict[Hashable, PendingAcks]] = defaultdict(PendingAcks)
_releases: Final[defaultdict[Hashable, PendingReleases]] = defaultdict(PendingReleases)


def pending_for(broker: Hashable) -> tuple[PendingAcks, PendingReleases]:
    """What this process owes to one broker."""
    return _acks[broker], _releases[broker]
