"""Messages that a channel has claimed and not delivered yet, and when it should claim more."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from time import monotonic
from typing import Final

from rollbook_worker.celery_ext.transport.queue_scripts import ClaimedMessage, QueueState

SUSPECT_WAIT_SECONDS: Final = 10.0
"""How long a poison suspect waits for its worker to be idle, and how long nothing is claimed next to it."""


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
