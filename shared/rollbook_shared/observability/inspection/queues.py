"""What waits in Redis, and what workers hold.

kombu keeps a queue as a list with the oldest message at its end, the messages that workers hold in the hash `unacked`,
and since when they do (or when they last said so) in the sorted set `unacked_index`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from rollbook_shared.jobs.routing import QUEUES

VISIBILITY_SECONDS: Final = 240
"""How long a worker may hold a message and say nothing before others put it back; a test compares it with the workers'
setting."""
UNACKED: Final = "unacked"
UNACKED_INDEX: Final = "unacked_index"
SET_ASIDE: Final = "dead_letters"
"""Where the workers' transport puts messages that no worker could take."""
_ID_DIGITS: Final = 14
_ID_LENGTH: Final = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class Queue:
    """How one queue stands."""

    name: str
    jobs: int
    oldest: float | None
    """Seconds since its oldest job was sent; None: it is empty, or the job does not say."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """What workers have taken and not acknowledged."""

    messages: int
    unleased: int
    """Those of which nothing says since when: nobody will ever put them back."""
    oldest: float | None
    """Seconds since somebody who holds one last said so."""
    waits: float | None
    """Seconds since that one was sent; None: nothing is held, or it does not say."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Queues:
    """How the broker stands, in one moment."""

    queues: tuple[Queue, ...]
    held: Held
    set_aside: int
    now: float
    """Redis' own clock, in seconds since 1970."""


def find_queues(client: Any, names: Sequence[str] = QUEUES) -> Queues:
    """Look at the queues, with a client of redis-py; two round trips. Raises what the client does."""
    pipe = client.pipeline(transaction=True)
    pipe.time()
    pipe.hlen(UNACKED)
    pipe.zcard(UNACKED_INDEX)
    pipe.zrange(UNACKED_INDEX, 0, 0, withscores=True)
    pipe.llen(SET_ASIDE)
    for name in names:
        pipe.llen(name)
        pipe.lindex(name, -1)
    (seconds, micros), held, leased, first, set_aside, *rest = pipe.execute()
    now = seconds + micros / 1_000_000
    first_held = client.hget(UNACKED, first[0][0]) if first else None
    return Queues(
        queues=tuple(
            Queue(name=name, jobs=jobs, oldest=_age(oldest, now))
            for name, jobs, oldest in zip(names, rest[::2], rest[1::2], strict=True)
        ),
        held=Held(
            messages=held,
            unleased=max(0, held - leased),
            oldest=max(0.0, now - first[0][1]) if first else None,
            waits=_age(first_held, now),
        ),
        set_aside=set_aside,
        now=now,
    )


def _age(message: bytes | None, now: float) -> float | None:
    sent = None if message is None else sent_at(message)
    return None if sent is None else max(0.0, now - sent)


def sent_at(message: bytes) -> float | None:
    """When a message that waits or is held was sent, in seconds since 1970.

    Ours say so (AMQP's property `timestamp`). Of others, such as retries, the job's id tells when the job was made, if
    it is one that we made.
    """
    try:
        envelope = json.loads(message)
        if isinstance(envelope, list):  # as workers hold it, with where it came from
            envelope = envelope[0]
        stamp = envelope["properties"].get("timestamp")
        if isinstance(stamp, int | float) and not isinstance(stamp, bool):
            return float(stamp)
        job_id = envelope["headers"]["id"]
        return int(job_id[:_ID_DIGITS], 16) / 1_000_000 if len(job_id) == _ID_LENGTH else None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
