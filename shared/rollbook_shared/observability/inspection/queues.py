"""What waits in Redis, and what is in flight.

kombu keeps a queue as a list with the oldest message at its end. It keeps the messages in flight, which workers have
taken and not acknowledged, in the hash `unacked`, and the time of their last lease renewal in the sorted set
`unacked_index`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from rollbook_shared.jobs.celery_task import QUEUES

VISIBILITY_SECONDS: Final = 240
"""How long a lease lasts without renewal; then other workers requeue the message. A test compares it with the workers'
setting."""
UNACKED: Final = "unacked"
UNACKED_INDEX: Final = "unacked_index"
UNPROCESSABLE: Final = "dead_letters"
"""The list in which the transport keeps messages that no worker could take."""
_ID_DIGITS: Final = 14
_ID_LENGTH: Final = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class Queue:
    """What waits in one queue."""

    name: str
    jobs: int
    oldest: float | None
    """Seconds since its oldest job was sent; None if it is empty, or if the job does not say."""


@dataclass(frozen=True, kw_only=True, slots=True)
class InFlight:
    """The messages that workers have taken and not acknowledged."""

    messages: int
    orphaned: int
    """Those without a lease: no worker will ever requeue them."""
    oldest_renewal: float | None
    """Seconds since the lease that was renewed longest ago was renewed; None if nothing is in flight."""
    oldest_sent: float | None
    """Seconds since that message was sent; None if nothing is in flight, or if the message does not say."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Queues:
    """What waits in Redis and what is in flight, read at once."""

    queues: tuple[Queue, ...]
    in_flight: InFlight
    unprocessable: int
    """Messages that no worker could take."""
    now: float
    """The time by Redis' clock, in seconds since 1970."""


def find_queues(client: Any, names: Sequence[str] = QUEUES) -> Queues:
    """Read the queues with a redis-py client, in two round trips. Raises the client's errors."""
    pipe = client.pipeline(transaction=True)
    pipe.time()
    pipe.hlen(UNACKED)
    pipe.zcard(UNACKED_INDEX)
    pipe.zrange(UNACKED_INDEX, 0, 0, withscores=True)
    pipe.llen(UNPROCESSABLE)
    for name in names:
        pipe.llen(name)
        pipe.lindex(name, -1)
    (seconds, micros), messages, leased, first, unprocessable, *rest = pipe.execute()
    now = seconds + micros / 1_000_000
    oldest_message = client.hget(UNACKED, first[0][0]) if first else None
    return Queues(
        queues=tuple(
            Queue(name=name, jobs=jobs, oldest=_age(oldest, now))
            for name, jobs, oldest in zip(names, rest[::2], rest[1::2], strict=True)
        ),
        in_flight=InFlight(
            messages=messages,
            orphaned=max(0, messages - leased),
            oldest_renewal=max(0.0, now - first[0][1]) if first else None,
            oldest_sent=_age(oldest_message, now),
        ),
        unprocessable=unprocessable,
        now=now,
    )


def _age(message: bytes | None, now: float) -> float | None:
    sent = None if message is None else sent_at(message)
    return None if sent is None else max(0.0, now - sent)


def sent_at(message: bytes) -> float | None:
    """When a message that waits or is in flight was sent, in seconds since 1970.

    Our messages say so (AMQP's property `timestamp`). Others, such as retries, do not; an id that Rollbook made holds
    the time at which the job was made.
    """
    try:
        envelope = json.loads(message)
        if isinstance(envelope, list):  # in flight: with the exchange and the routing key
            envelope = envelope[0]
        stamp = envelope["properties"].get("timestamp")
        if isinstance(stamp, int | float) and not isinstance(stamp, bool):
            return float(stamp)
        job_id = envelope["headers"]["id"]
        return int(job_id[:_ID_DIGITS], 16) / 1_000_000 if len(job_id) == _ID_LENGTH else None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
