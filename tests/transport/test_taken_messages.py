"""A message that is taken before kombu's is made of it is in flight as any other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis
from tests.support.transport.consumers import Consumer, waiting
from tests.support.transport.harness import envelope

from rollbook_worker.celery_ext.transport.plain_message import DeliveredMessage

Consume = Callable[..., Consumer]


@pytest.fixture
def taken() -> list[DeliveredMessage]:
    """What was taken."""
    return []


@pytest.fixture
def consumer(client: redis.Redis, consume: Consume, taken: list[DeliveredMessage]) -> Consumer:
    """A consumer that takes the first two messages, and was delivered three."""

    def take(delivered: DeliveredMessage) -> bool:
        if len(taken) == 2:
            return False
        taken.append(delivered)
        return True

    client.lpush("first", *(envelope(number) for number in range(3)))
    consumer = consume()
    consumer.channel.take = take
    consumer.turn()
    return consumer


def test_the_others_are_delivered_as_usual(consumer: Consumer, taken: list[DeliveredMessage]) -> None:
    assert len(taken) == 2
    assert len(consumer.messages) == 1


def test_it_is_acknowledged_by_its_tag(client: redis.Redis, consumer: Consumer, taken: list[DeliveredMessage]) -> None:
    for delivered in taken:
        delivered.channel.basic_ack(delivered.tag)
    consumer.messages[0].ack()
    consumer.turn()

    assert client.hlen("unacked") == client.zcard("unacked_index") == 0
    assert consumer.channel.qos.is_empty


def test_the_message_that_is_made_of_it_later_is_the_same(
    client: redis.Redis, consumer: Consumer, taken: list[DeliveredMessage]
) -> None:
    for delivered in taken:
        delivered.message().ack()
    consumer.turn()

    assert client.hlen("unacked") == 1


def test_a_stopped_worker_releases_it(client: redis.Redis, consumer: Consumer) -> None:
    consumer.close()

    assert waiting(client) == [0, 1, 2]
    assert client.hlen("unacked") == 0


def test_if_taking_it_fails_it_is_released(client: redis.Redis, consume: Consume) -> None:
    def fail(delivered: DeliveredMessage) -> bool:
        raise redis.ConnectionError("the connection broke")

    client.lpush("first", envelope("precious"))
    consumer = consume()
    consumer.channel.take = fail
    with pytest.raises(redis.ConnectionError):
        consumer.turn()
    consumer.close()

    assert waiting(client) == ["precious"]


def test_what_cannot_be_read_is_no_longer_in_flight(client: redis.Redis, consume: Consume) -> None:
    client.lpush("first", '{"properties":{"delivery_tag":"t","delivery_info":{}},"headers":{"task":"x"},"body":7}')
    consumer = consume()
    consumer.channel.take = lambda delivered: delivered.envelope.clear()
    consumer.turn()

    assert client.hlen("unacked") == 0
    assert not consumer.channel.qos._delivered


def test_a_queue_without_acknowledgements_is_not_asked(client: redis.Redis, consume: Consume) -> None:
    asked: list[Any] = []
    client.lpush("first", envelope("one"))
    consumer = consume()
    consumer.channel.take = asked.append

    assert consumer.channel.basic_get("first", no_ack=True) is not None
    assert asked == []
