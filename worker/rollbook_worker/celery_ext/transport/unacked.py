"""What Redis knows of claimed messages. Each method is one script, so one step: all of it happens, or nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from rollbook_worker.celery_ext.transport.script_connection import Line
from rollbook_worker.celery_ext.transport.scripts import load

SUSPECT: Final = 2
"""Deliveries that came to nothing after which a message is claimed only by a worker that holds nothing else.

Not the first: a worker that is killed once, as workers are, should not slow those down that take over from it.
"""

_CLAIM: Final = load("claim")
_ACKNOWLEDGE: Final = load("acknowledge")
_GIVE_BACK: Final = load("give_back")
_REQUEUE: Final = load("requeue")
_BURY: Final = load("bury")
_RENEW: Final = load("renew")
_RESTORE: Final = load("restore")


class Left(StrEnum):
    """What a claim found behind what it took."""

    MORE = "more"
    EMPTY = "empty"
    SUSPECT = "suspect"
    """Nothing is claimed beside a suspect: it was taken alone, or left where it is."""


class Renewed(NamedTuple):
    """Since when leases run, by Redis' clock, and the tags that are held no longer."""

    at: float
    gone: list[str]


class Claim(NamedTuple):
    """A message that is ours until its lease ends. `tag` names it in Redis."""

    queue: str
    tag: str
    raw: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Names:
    """The keys in Redis, as kombu's options have them. `prefix` is before every key."""

    prefix: str
    unacked: str
    index: str
    dead: str
    separator: str
    steps: tuple[int, ...]
    """Priorities that have a list of their own, the most urgent first."""

    def key(self, name: str) -> str:
        return self.prefix + name

    def list_of(self, queue: str, step: int) -> str:
        return self.key(f"{queue}{self.separator}{step}" if step else queue)


class Unacked:
    """The messages that workers hold, all of them, ours and others'."""

    def __init__(
        self,
        names: Names,
        *,
        lease: float,
        visibility_timeout: float,
        max_deliveries: int,
        claim_bytes: int,
        dead_task: str,
    ) -> None:
        self._names = names
        self._keys = [
            names.key(names.unacked),
            names.key(names.index),
            names.key(f"{names.unacked}_deliveries"),
            names.key(names.dead),
        ]
        self._settings = json.dumps(
            {
                "prefix": names.prefix,
                "sep": names.separator,
                "steps": names.steps,
                "lease": lease,
                "visibility_timeout": visibility_timeout,
                "max_deliveries": max_deliveries,
                "claim_bytes": claim_bytes,
                "suspect": SUSPECT,
                "dead_task": dead_task,
            }
        )

    def claim(
        self, line: Line, queues: Sequence[str], *, room: int, alone: bool, acks: Sequence[str]
    ) -> tuple[Left, float, list[Claim]]:
        """Acknowledge, then claim up to `room` messages, of each queue its share, urgent ones first; fewer if they are
        large. Between what was left and the messages stands since when their leases run, by Redis' clock.

        alone: nothing else is held, so a suspect may be taken.
        """
        lists = [self._names.list_of(queue, step) for step in self._names.steps for queue in queues]
        arguments: list[str | int] = [self._settings, room, int(alone), len(queues), *queues, *acks]
        left, at, *taken = line.run(_CLAIM, [*self._keys, *lists], arguments)
        claims = [
            Claim(queues[number - 1], tag.decode(), raw)
            for number, tag, raw in zip(taken[::3], taken[1::3], taken[2::3], strict=True)
        ]
        return Left(left.decode()), float(at), claims

    def acknowledge(self, line: Line, tags: Sequence[str]) -> None:
        line.run(_ACKNOWLEDGE, self._keys, [self._settings, *tags])

    def give_back(self, line: Line, tags: Sequence[str], *, seen: bool, held_at: float | None = None) -> None:
        """Put messages back, the first of them to be claimed next. `seen`: somebody may have begun with them.

        held_at: when they were last known to be ours, by Redis' clock; what others claimed since is left to them.
        """
        line.run(_GIVE_BACK, self._keys, [self._settings, int(seen), held_at or "", *reversed(tags)])

    def requeue(self, line: Line, tags: Sequence[str], *, counted: bool) -> None:
        """Put messages behind all others. `counted`: they may have ended those who had them."""
        line.run(_REQUEUE, self._keys, [self._settings, int(counted), *tags])

    def bury(self, line: Line, tags: Sequence[str], code: str) -> None:
        """Make dead letters of messages; `code` says why."""
        line.run(_BURY, self._keys, [self._settings, code, *tags])

    def renew(self, line: Line, tags: Sequence[str]) -> Renewed:
        """Renew leases."""
        at, *gone = line.run(_RENEW, self._keys, [self._settings, *tags])
        return Renewed(float(at), [tag.decode() for tag in gone])

    def restore(self, line: Line, limit: int) -> int:
        """Put back at most `limit` messages whose lease has ended, fewer if they are large; return how many it were."""
        return int(line.run(_RESTORE, self._keys, [self._settings, limit]))
