"""Workers empty a Redis at its memory limit, which rejects every command that might need memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
import redis
from tests.support.transport.consumers import LEASE, Consumer, expire, score, waiting
from tests.support.transport.harness import envelope
from tests.support.waits import wait_until

Consume = Callable[..., Consumer]


@pytest.fixture
def fill(client: redis.Redis) -> Iterator[Callable[[], object]]:
    """Make it full."""
    yield lambda: client.config_set("maxmemory", 1)
    client.config_set("maxmemory", 0)


def test_a_consumer_empties_a_full_redis(client: redis.Redis, consume: Consume, fill: Callable[[], object]) -> None:
    client.lpush("first", *(envelope(number) for number in range(20)))
    fill()
    consumer = consume("first", "second")

    consumer.take(10)
    for message in consumer.messages:
        message.ack()

    assert consumer.take(10) == list(range(10, 20))


def test_leases_are_renewed_in_a_full_redis(client: redis.Redis, consume: Consume, fill: Callable[[], object]) -> None:
    client.lpush("first", envelope("held"))
    consume(lease=LEASE).take(1)
    fill()
    before = score(client)

    wait_until(lambda: score(client) > before + 2 * LEASE, what="renewing again and again")


def test_messages_of_a_lost_worker_return_in_a_full_redis(
    client: redis.Redis, consume: Consume, fill: Callable[[], object]
) -> None:
    client.lpush("first", *(envelope(number) for number in range(3)))
    lost = consume()
    lost.take(3)
    lost.vanish()
    expire(client)
    fill()

    consume("second").channel.qos.restore_expired()

    assert sorted(map(str, waiting(client))) == ["0", "1", "2"]


def test_a_stopped_worker_releases_its_messages_into_a_full_redis(
    client: redis.Redis, consume: Consume, fill: Callable[[], object]
) -> None:
    client.lpush("first", *(envelope(number) for number in range(3)))
    consumer = consume()
    consumer.take(3)
    fill()

    consumer.close()

    assert waiting(client) == [0, 1, 2]


@pytest.mark.parametrize("requeue", [False, True])
def test_a_message_is_rejected_in_a_full_redis(
    client: redis.Redis, consume: Consume, fill: Callable[[], object], requeue: bool
) -> None:
    client.lpush("first", envelope("rejected"))
    consumer = consume()
    consumer.take(1)
    fill()

    consumer.messages[0].reject(requeue=requeue)

    (item,) = client.lrange("first", 0, -1)
    assert json.loads(item)["headers"]["task"] == ("note" if requeue else "rollbook.dead_letter")
    assert client.hlen("unacked") == 0


def test_an_invalid_item_becomes_a_dead_letter_in_a_full_redis(
    client: redis.Redis, consume: Consume, fill: Callable[[], object]
) -> None:
    item = (
        b'{"body": "not base64!", "properties": {"delivery_tag": "b", "delivery_info": {}, "body_encoding": "base64"}}'
    )
    client.lpush("first", b"not json", item, envelope("good"))
    fill()
    consumer = consume()

    consumer.take(3)

    tasks = sorted(message.headers["task"] for message in consumer.messages)
    assert tasks == ["note", "rollbook.dead_letter", "rollbook.dead_letter"]
