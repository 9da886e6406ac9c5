"""Messages that cannot be released while Redis is down are released later, and this counts as no delivery."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import pytest
import redis
from tests.support.transport.consumers import LEASE, Consumer, expire, waiting
from tests.support.transport.harness import envelope
from tests.support.waits import wait_until

from rollbook_worker.celery_ext.transport.queue_scripts import ScriptConnection

Consume = Callable[..., Consumer]


def refuse(*_: object, **__: object) -> NoReturn:
    raise redis.ConnectionError("rejected")


def cut_off(consumer: Consumer) -> None:
    """End without reaching Redis, as when it has crashed."""
    consumer.channel.pool.get_connection = refuse
    consumer.close()


def test_the_next_connection_releases_in_order_before_it_claims(client: redis.Redis, consume: Consume) -> None:
    client.lpush("first", *(envelope(number) for number in range(6)))
    consumer = consume(prefetch=3)
    consumer.take(3)
    consumer.channel.claim(["first"], room=2, allow_suspect=False)

    cut_off(consumer)
    assert client.hlen("unacked") == 5

    assert consume(prefetch=6).take(6) == [0, 1, 2, 3, 4, 5]


def test_a_late_release_does_not_count_after_the_lease(client: redis.Redis, consume: Consume) -> None:
    client.lpush("first", envelope("other"))

    for _ in range(7):
        consumer = consume(max_deliveries=2)
        assert consumer.take(1) == ["other"]
        cut_off(consumer)
        expire(client)
        consume("second", max_deliveries=2).channel.qos.restore_expired()

    assert waiting(client) == ["other"]
    assert not client.exists("unacked_deliveries")


def test_a_late_release_does_not_count_after_a_renewal(client: redis.Redis, consume: Consume) -> None:
    client.lpush("first", envelope("long"))
    consumer = consume(lease=LEASE)
    consumer.take(1)
    leases = consumer.channel.qos.leases
    before = leases.held_at
    wait_until(lambda: leases.held_at > before, what="renewing")

    cut_off(consumer)

    assert consume().take(1) == ["long"]
    assert not client.exists("unacked_deliveries")


def test_a_late_release_leaves_messages_that_another_worker_claimed(client: redis.Redis, consume: Consume) -> None:
    client.lpush("first", envelope("taken over"))
    consumer = consume()
    consumer.take(1)
    cut_off(consumer)
    expire(client)
    another = consume("second").channel.qos
    with ScriptConnection.borrow(another.channel.pool) as connection:
        another.scripts.restore(connection, 10)
        another.scripts.claim(connection, ["first"], room=10, allow_suspect=True, acks=[])

    assert consume().take_available() == []
    assert client.hlen("unacked") == 1


def test_a_late_release_leaves_out_acknowledged_messages(client: redis.Redis, consume: Consume) -> None:
    client.lpush("first", *(envelope(number) for number in range(2)))
    consumer = consume()
    consumer.take(2)
    cut_off(consumer)
    consumer.messages[0].ack()

    assert consume().take_available() == [1]
    assert client.hlen("unacked") == 1


def test_a_late_release_waits_until_redis_is_back(client: redis.Redis, consume: Consume) -> None:
    client.lpush("first", envelope("other"))
    consumer = consume()
    consumer.take(1)
    cut_off(consumer)
    early = consume()
    early.channel.qos.scripts.release = refuse
    with pytest.raises(redis.ConnectionError):
        early.turn()
    cut_off(early)

    assert consume().take(1) == ["other"]
    assert not client.exists("unacked_deliveries")
