"""A message that was claimed and not finished returns to its place, unchanged."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import redis
from tests.support.transport.consumers import Consumer, expire, waiting
from tests.support.transport.harness import envelope

from rollbook_worker.celery_ext.transport.queue_scripts import ScriptConnection

Consume = Callable[..., Consumer]
SOON = 0.05


def test_a_stopped_worker_releases_everything_in_order(client: redis.Redis, consume: Consume) -> None:
    client.lpush("first", *(envelope(number) for number in range(6)))
    consumer = consume(prefetch=4)
    consumer.take(4)

    consumer.close()

    assert waiting(client) == [0, 1, 2, 3, 4, 5]
    assert client.hlen("unacked") == client.zcard("unacked_index") == 0


def test_a_cancelled_queue_releases_undelivered_messages(client: redis.Redis, consume: Consume) -> None:
    client.lpush("first", *(envelope(number) for number in range(6)))
    consumer = consume(prefetch=4)
    consumer.channel.claim(["first"], room=4, allow_suspect=True)

    consumer.cancel()

    assert waiting(client) == [0, 1, 2, 3, 4, 5]
    assert consumer.messages == []


def test_a_claim_during_the_cancellation_is_released(
    client: redis.Redis, consume: Consume, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Celery cancels from the handler of a signal, so in the middle of whatever is going on."""
    client.lpush("first", *(envelope(number) for number in range(6)))
    consumer = consume(prefetch=4)
    claim = consumer.channel.qos.scripts.claim

    def claim_and_cancel(*args: Any, **kwargs: Any) -> Any:
        claimed = claim(*args, **kwargs)
        consumer.cancel()
        return claimed

    monkeypatch.setattr(consumer.channel.qos.scripts, "claim", claim_and_cancel)
    consumer.channel.work()

    assert waiting(client) == [0, 1, 2, 3, 4, 5]
    assert (consumer.messages, client.hlen("unacked")) == ([], 0)


def test_an_undelivered_message_is_released_byte_for_byte(client: redis.Redis, consume: Consume) -> None:
    item = envelope({"ü": "é/\\ \u2028", "empty": [], "number": 1e300})
    client.lpush("first", item)
    consumer = consume()
    consumer.channel.claim(["first"], room=1, allow_suspect=True)

    consumer.close()

    assert client.lindex("first", 0) == item.encode()


def test_a_delivered_message_is_released_as_redelivered(client: redis.Redis, consume: Consume) -> None:
    client.lpush("first", envelope("job", x_extra={"list": [], "nested": {"headers": {}}}))
    item = json.loads(client.lindex("first", 0) or "")
    for _ in range(3):  # once is enough
        consumer = consume()
        consumer.take(1)
        consumer.close()

    returned = bytes(client.lindex("first", 0) or b"")  # type: ignore[arg-type]

    item["headers"]["redelivered"] = item["properties"]["delivery_info"]["redelivered"] = True
    assert json.loads(returned) == item
    assert returned.count(b"redelivered") == 2


def test_compact_foreign_messages_are_released_as_redelivered(client: redis.Redis, consume: Consume) -> None:
    item = json.loads(envelope("job"))
    item["headers"] |= {"note": 'not "headers": {} nor "delivery_info":{}'}
    client.lpush("first", json.dumps(item, separators=(",", ":")))
    consumer = consume()
    consumer.take(1)
    consumer.close()

    again = consume()
    again.take(1)

    assert again.messages[0].headers["redelivered"] is True
    assert again.messages[0].delivery_info["redelivered"] is True


def test_messages_of_a_lost_worker_return_to_their_queue_and_priority(client: redis.Redis, consume: Consume) -> None:
    lists = ("first", "second\x06\x163", "second\x06\x169")
    for name, priority in zip(lists, (0, 4, 9), strict=True):
        # published through an exchange, which says nothing of the queue
        delivery = {"exchange": "somewhere", "routing_key": "else"}
        client.lpush(name, envelope(name, priority=priority, delivery_info=delivery))
    lost = consume("first", "second", priority_steps=[0, 3, 6, 9])
    lost.take(3)
    lost.vanish()
    expire(client)

    consume("third", priority_steps=[0, 3, 6, 9]).channel.qos.restore_expired()

    assert [waiting(client, name) for name in lists] == [[name] for name in lists]


def test_a_running_lease_is_not_restored(client: redis.Redis, consume: Consume) -> None:
    client.lpush("first", envelope("held"))
    holder = consume(lease=30)
    holder.take(1)

    consume("second", lease=30).channel.qos.restore_expired()

    assert client.hlen("unacked") == 1


def test_thousands_of_messages_of_a_lost_worker_return_at_once(client: redis.Redis, consume: Consume) -> None:
    client.lpush("first", *(envelope(number) for number in range(3_000)))
    lost = consume(prefetch=3_000)
    lost.take(3_000)
    lost.vanish()
    expire(client)

    consume("second").channel.qos.restore_expired()

    assert (client.llen("first"), client.hlen("unacked")) == (3_000, 0)


def test_large_messages_return_a_few_at_a_time(client: redis.Redis, consume: Consume) -> None:
    client.lpush("first", *(envelope(f"{number}" + "x" * 10_000) for number in range(5)))
    lost = consume()
    lost.take(5)
    lost.vanish()
    expire(client)
    in_flight = consume("second", claim_bytes=20_000).channel.qos

    with ScriptConnection.borrow(in_flight.channel.pool) as connection:
        returned = [in_flight.scripts.restore(connection, 500) for _ in range(4)]

    assert returned == [2, 2, 1, 0]
    assert client.llen("first") == 5


def test_messages_of_a_lost_stock_worker_return_after_its_own_timeout(client: redis.Redis, consume: Consume) -> None:
    consumer = consume("first", "second", visibility_timeout=60, lease=1)
    now = client.time()[0]
    for tag, age, key in (("old", 61, "second"), ("young", 30, "first")):
        entry = [json.loads(envelope(tag, delivery_tag=tag)), key, key]
        client.hset("unacked", tag, json.dumps(entry))
        client.zadd("unacked_index", {tag: now - age})

    consumer.channel.qos.restore_expired()

    assert waiting(client, "second") == ["old"]
    assert client.hkeys("unacked") == [b"young"]


def test_a_stock_worker_restores_messages_of_our_lost_worker(
    broker: str, client: redis.Redis, consume: Consume
) -> None:
    from rollbook_worker.celery_ext import privates

    client.lpush("second", envelope("ours", queue="second", delivery_info={"exchange": "second", "routing_key": "x"}))
    lost = consume("first", "second")
    lost.take(1)
    lost.vanish()
    expire(client)

    with privates.Connection(broker, transport_options={"visibility_timeout": 60, "priority_steps": [0]}) as connection:
        connection.default_channel.qos.restore_visible(num=10)

    assert waiting(client, "second") == ["ours"]


def test_a_requeued_message_goes_to_the_end_of_the_queue(client: redis.Redis, consume: Consume) -> None:
    client.lpush("first", *(envelope(number) for number in range(3)))
    consumer = consume(prefetch=1)
    consumer.take(1)

    consumer.messages[0].reject(requeue=True)

    assert waiting(client) == [1, 2, 0]
    assert client.hlen("unacked") == 0
