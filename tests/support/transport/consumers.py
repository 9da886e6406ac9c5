"""A consumer without Celery: what a worker does to the broker, one step at a time."""

from __future__ import annotations

import json
from base64 import b64decode
from typing import Any, Final, Self

import redis
from kombu import messaging
from kombu.entity import Exchange, Queue
from tests.support.waits import DEADLINE_SECONDS

from rollbook_worker.celery_ext.transport import LeasedConnection

KombuConsumer: Any = messaging.Consumer  # kombu has types for some of its parameters only


class Consumer:
    """Consumes queues through our transport, and keeps what it is given without acknowledging it."""

    def __init__(self, broker: str, queues: tuple[str, ...], *, prefetch: int = 10, **options: Any) -> None:
        defaults: dict[str, Any] = {"priority_steps": [0], "visibility_timeout": 60}
        self._connection: Any = LeasedConnection(broker, transport_options=defaults | options)
        self._queues = [_queue(name) for name in queues]
        self._prefetch = prefetch
        self.messages: list[Any] = []

    def __enter__(self) -> Self:
        self.channel: Any = self._connection.channel()
        self.channel.basic_qos(0, self._prefetch, False)
        self._consumer = KombuConsumer(self.channel, self._queues, on_message=self.messages.append, accept=["json"])
        self._consumer.consume()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End as a worker does that is asked to."""
        self._connection.release()

    def cancel(self) -> None:
        """Consume no more, and keep what was delivered."""
        self._consumer.cancel()

    def vanish(self) -> None:
        """End as a worker does that is killed: say nothing, and renew no lease."""
        self.channel.qos.abandon()
        self.channel.closed = True

    def take(self, count: int) -> list[object]:
        """Wait until so many more were delivered; return the jobs in them."""
        before = len(self.messages)
        while len(self.messages) < before + count:
            self._connection.drain_events(timeout=DEADLINE_SECONDS)
        return [job_in(message) for message in self.messages[before:]]

    def listen(self, seconds: float) -> None:
        """Handle what Redis sends within this time.

        Raises:
            TimeoutError: it sent nothing.
        """
        self._connection.drain_events(timeout=seconds)

    def take_available(self) -> list[object]:
        """Return what is delivered without waiting for more to arrive."""
        before = len(self.messages)
        self.turn()
        return [job_in(message) for message in self.messages[before:]]

    def turn(self) -> None:
        """Do what there is to do."""
        self.channel.expect_messages()
        while self.channel.has_work():
            self.channel.work()


def job_in(message: Any) -> object:
    """The job that `envelope` put into a message."""
    return json.loads(message.body)[0][0]


def job_of(item: bytes | str) -> object:
    """The same of an item of a queue."""
    return json.loads(b64decode(json.loads(item)["body"]))[0][0]


def _queue(name: str) -> Queue:
    return Queue(name, Exchange(name), routing_key=name)  # type: ignore[no-untyped-call]


def waiting(client: redis.Redis, queue: str = "first") -> list[object]:
    """The jobs of a queue, the next one first."""
    return [job_of(item) for item in reversed(client.lrange(queue, 0, -1))]


def expire(client: redis.Redis) -> None:
    """Let all leases have ended long ago."""
    for tag in client.hkeys("unacked"):
        client.zadd("unacked_index", {str(tag, "utf-8"): 1})  # type: ignore[arg-type]


LEASE: Final = 1.0
"""Seconds. A busy machine may keep a thread that renews leases from its work for half a second."""


def score(client: redis.Redis) -> float:
    (tag,) = client.hkeys("unacked")
    return float(client.zscore("unacked_index", tag) or 0)
