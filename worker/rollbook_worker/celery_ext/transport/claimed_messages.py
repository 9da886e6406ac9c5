"""Claimed messages, from the claim until they are delivered, and when a channel should claim more."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from enum import StrEnum
from time import monotonic
from typing import Any, Final, NamedTuple

import orjson

from rollbook_worker.celery_ext import privates

SUSPECT_WAIT_SECONDS: Final = 10.0
"""How long a poison suspect waits for its worker to be idle, and how long nothing is claimed next to it."""


class QueueState(StrEnum):
    """What a claim left in the queues."""

    MORE = "more"
    EMPTY = "empty"
    POISON_SUSPECT = "poison_suspect"
    """A poison suspect is never claimed together with others: it was claimed alone, or left where it is."""
    FOREIGN = "foreign"
    """The queues belong to another store: nothing was claimed."""


class ClaimedMessage(NamedTuple):
    """A message that belongs to this worker until its lease expires. `tag` is its name in Redis."""

    queue: str
    tag: str
    raw: bytes

    def envelope(self) -> Any:
        """kombu's envelope, decoded as kombu decodes it, but for integers of more than 64 bits, which no envelope has.
        Text with kombu's type marks is left to kombu, and so is what only kombu accepts.

        Raises:
            ValueError: this is not JSON.
        """
        if b"__type__" not in self.raw:
            try:
                return orjson.loads(self.raw)
            except ValueError:
                pass
        return privates.loads(self.raw.decode())


class Claim(NamedTuple):
    """What a claim brought."""

    state: QueueState
    at: float
    """The time from which the leases run, by Redis' clock."""
    messages: list[ClaimedMessage]
    owner: str
    """The id of the other store to which the queues belong, if they do."""


class PrefetchBuffer:
    """Claimed messages between Redis and the worker's consumers."""

    def __init__(self) -> None:
        self.messages: deque[ClaimedMessage] = deque()
        """The first is delivered next."""
        self.expects_more = True
        """A queue may hold messages: it did at the last claim, or Redis has sent a notification since."""
        self._exclusive_until: float | None = None
        self._turn = 0

    def may_claim(self, *, is_idle: bool) -> bool:
        """Whether to claim now: not while a poison suspect waits until its worker holds nothing else."""
        return self.expects_more and (self._exclusive_until is None or is_idle or monotonic() >= self._exclusive_until)

    @property
    def has_suspect(self) -> bool:
        """Whether a poison suspect waits, or is in flight."""
        return self._exclusive_until is not None

    def in_turn(self, queues: Sequence[str]) -> list[str]:
        """The queues, beginning with another one at each call."""
        self._turn = (self._turn + 1) % len(queues)
        return [*queues[self._turn :], *queues[: self._turn]]

    def add(self, messages: Sequence[ClaimedMessage], state: QueueState) -> None:
        """Add what was claimed, and note what is left in the queues."""
        self.messages.extend(messages)
        self.expects_more = state not in (QueueState.EMPTY, QueueState.FOREIGN)
        self._exclusive_until = monotonic() + SUSPECT_WAIT_SECONDS if state is QueueState.POISON_SUSPECT else None

    def remove(self, queue: str | None = None) -> list[str]:
        """Remove the messages of this queue, or all; return their tags, in order."""
        tags = [message.tag for message in self.messages if queue in (None, message.queue)]
        self.messages = deque(message for message in self.messages if queue not in (None, message.queue))
        return tags
