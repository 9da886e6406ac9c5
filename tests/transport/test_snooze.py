"""A snoozed message is held for a while, then delivered again, and this counts as no delivery."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis
from tests.support.transport.consumers import Consumer, waiting
from tests.support.transport.harness import envelope

Consume = Callable[..., Consumer]


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Snooze for no time at all."""
    monkeypatch.setattr("rollbook_worker.celery_ext.transport.in_flight.SNOOZE_SECONDS", 0)


def snooze(consumer: Consumer, *messages: int) -> None:
    for number in messages:
        consumer.channel.snooze(consumer.messages[number].delivery_tag)


def test_a_snoozed_message_is_held_for_a_while(client: redis.Redis, consume: Consume) -> None:
    client.lpush("first", envelope("early"))
    consumer = consume()
    consumer.take(1)

    snooze(consumer, 0)

    assert consumer.take_available() == []
    assert (client.llen("first"), client.hlen("unacked")) == (0, 1)


@pytest.mark.usefixtures("at_once")
def test_a_snoozed_message_goes_to_the_end_of_the_queue(client: redis.Redis, consume: Consume) -> None:
    client.lpush("first", *(envelope(number) for number in range(4)))
    consumer = consume(prefetch=2)
    consumer.take(2)
    consumer.cancel()

    snooze(consumer, 1, 0)
    assert consumer.channel.has_work()
    consumer.channel.work()

    assert waiting(client) == [2, 3, 1, 0]
    assert client.hlen("unacked") == client.zcard("unacked_index") == 0
    assert consumer.channel.qos.bytes == 0


@pytest.mark.usefixtures("at_once")
def test_a_snoozed_message_never_becomes_a_dead_letter(client: redis.Redis, consume: Consume) -> None:
    client.lpush("first", envelope("other"))
    consumer = consume(prefetch=1, max_deliveries=1)

    for number in range(7):
        assert consumer.take(1) == ["other"]
        snooze(consumer, number)

    assert not client.exists("unacked_deliveries")


@pytest.mark.usefixtures("at_once")
def test_a_snoozed_dead_letter_is_kept(client: redis.Redis, consume: Consume) -> None:
    client.lpush("first", b"not json")
    consumer = consume(prefetch=1, max_deliveries=1)

    for number in range(7):
        consumer.take(1)
        snooze(consumer, number)

    assert {message.headers["task"] for message in consumer.messages} == {"rollbook.dead_letter"}
    assert not client.exists("dead_letters")


def test_a_stopped_worker_releases_a_snoozed_message(client: redis.Redis, consume: Consume) -> None:
    client.lpush("first", *(envelope(number) for number in range(2)))
    consumer = consume()
    consumer.take(2)

    snooze(consumer, 0)
    consumer.close()

    assert waiting(client) == [0, 1]
    assert client.hlen("unacked") == 0
