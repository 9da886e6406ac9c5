"""Messages that were to go back while Redis was away."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Hashable, Sequence
from typing import Final, NamedTuple


class GiveBack(NamedTuple):
    """Some messages of one channel, in their order."""

    tags: Sequence[str]
    seen: bool
    """Somebody may have begun with them."""
    held_at: float
    """When Redis last said, by its own clock, that they are ours. Who has claimed one since keeps it."""


class GiveBacks:
    """They outlive the connection, as acknowledgements do: nobody died, and if the ends of their leases told of these
    messages, those would count as deliveries that came to nothing. The next channel to the same broker sends them.
    """

    def __init__(self) -> None:
        self._waiting: deque[GiveBack] = deque()

    def add(self, tags: Sequence[str], *, seen: bool, held_at: float) -> None:
        if tags:
            self._waiting.append(GiveBack(tags, seen, held_at))

    def take(self) -> GiveBack | None:
        """Take the oldest; hand it back to `unsent` if it cannot be sent."""
        return self._waiting.popleft() if self._waiting else None

    def unsent(self, give_back: GiveBack) -> None:
        self._waiting.appendleft(give_back)


_of_brokers: Final[defaultdict[Hashable, GiveBacks]] = defaultdict(GiveBacks)


def give_backs_of(broker: Hashable) -> GiveBacks:
    """What this process could not give back to one broker."""
    return _of_brokers[broker]
