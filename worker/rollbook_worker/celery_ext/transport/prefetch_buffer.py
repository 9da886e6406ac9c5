"""What a channel has claimed and not delivered yet, and when it should claim more."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from time import monotonic
from typing import Final

from rollbook_worker.celery_ext.transport.unacked import Claim, Left

PATIENCE_SECONDS: Final = 10.0
"""For so long a suspect message waits for its worker to be idle, and for so long nothing is claimed beside it."""


class Intake:
    """Messages between Redis and the worker's consumers."""

    def __init__(self) -> None:
        self.claims: deque[Claim] = deque()
        """The first is the next to be delivered."""
        self.expects_more = True
        """Whether a queue may hold messages: it did when we looked, or Redis has told of one since."""
        self._careful_until: float | None = None
        self._turn = 0

    def may_claim(self, *, is_idle: bool) -> bool:
        """Tell whether to look for messages now: not while a suspect waits until its worker holds nothing else."""
        return self.expects_more and (self._careful_until is None or is_idle or monotonic() >= self._careful_until)

    @property
    def is_careful(self) -> bool:
        """Whether a suspect waits, or is in hand."""
        return self._careful_until is not None

    def in_turn(self, queues: Sequence[str]) -> list[str]:
        """The queues, each first in its turn."""
        self._turn = (self._turn + 1) % len(queues)
        return [*queues[self._turn :], *queues[: self._turn]]

    def add(self, claims: Sequence[Claim], left: Left) -> None:
        """Take what was claimed, and how its queues were left."""
        self.claims.extend(claims)
        self.expects_more = left is not Left.EMPTY
        self._careful_until = monotonic() + PATIENCE_SECONDS if left is Left.SUSPECT else None

    def take_back(self, queue: str | None = None) -> list[str]:
        """Take out what came from this queue, or all of it, in its order; returns the tags."""
        tags = [claim.tag for claim in self.claims if queue in (None, claim.queue)]
        self.claims = deque(claim for claim in self.claims if queue not in (None, claim.queue))
        return tags
