"""Acknowledgements on their way to Redis."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Hashable
from typing import Final

_SENT_AT_ONCE: Final = 1_000
"""Tags in one call: Lua's stack holds about 8,000 values."""


class Acks:
    """The tags of messages that are done and that Redis still holds. Any thread may add one.

    They outlive the connection, for a job that is done must not be done again because its acknowledgement met a broken
    one: the next channel to the same broker sends them.
    """

    def __init__(self) -> None:
        self._tags: deque[str] = deque()

    def add(self, tag: str) -> None:
        self._tags.append(tag)

    def take(self) -> list[str]:
        """Take some, oldest first; hand them back to `unsent` if they cannot be sent."""
        return [self._tags.popleft() for _ in range(min(len(self._tags), _SENT_AT_ONCE))]

    def unsent(self, tags: list[str]) -> None:
        self._tags.extendleft(reversed(tags))

    def __bool__(self) -> bool:
        return bool(self._tags)


_of_brokers: Final[defaultdict[Hashable, Acks]] = defaultdict(Acks)


def acks_of(broker: Hashable) -> Acks:
    """This process's acknowledgements to one broker."""
    return _of_brokers[broker]
