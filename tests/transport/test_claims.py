"""A claim takes messages and records them in one step: from all queues in turn, urgent ones first."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

import pytest
import redis
from tests.support.transport.consumers import Consumer, expire, job_of, waiting
from tests.support.transport.harness import envelope
from tests.support.waits import DEADLINE_SECONDS, wait_until

from rollbook_worker.celery_ext import privates

Consume = Callable[..., Consumer]


def test_a_claimed_message_is_in_unacked(client: redis.Redis, consume: Consume) -> None:
    items = [envelope(number) for number in range(5)]
    client.lpush("first", *items)
    consumer = consume(prefetch=3)

    assert consumer.take(3) == [0, 1, 2]

    assert client.llen("first") == 2
    assert client.hlen("unacked") == client.zcard("unacked_index") == 3


def test_a_worker_that_dies_after_a_claim_leaves_the_message_in_redis(
    client: redis.Redis, consume: Consume, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.lpush("first", envelope("precious"))
    consumer = consume()

    def die(*_: object) -> None:
        raise SystemExit

    monkeypatch.setattr(consumer.channel.qos, "append", die)
    with pytest.raises(SystemExit):
        consumer.turn()

    assert client.hlen("unacked") == 1


def test_the_stock_transport_loses_the_message_there(
    broker: str, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: were this to fail, ours would no longer be needed."""

    def die(*_: object) -> None:
        raise SystemExit

    with privates.Connection(broker) as connection:
        queue = connection.SimpleQueue("first")
        client.lpush("first", envelope("precious"))
        monkeypatch.setattr(privates.QoS, "append", die)
        with pytest.raises(SystemExit):
            queue.get(timeout=DEADLINE_SECONDS)

        assert client.llen("first") == client.hlen("unacked") == 0


def test_acknowledged_messages_are_gone(client: redis.Redis, consume: Consume) -> None:
    client.lpush("first", *(envelope(number) for number in range(3)))
    consumer = consume()
    consumer.take(3)

    consumer.messages[0].ack()
    consumer.messages[2].ack()
    consumer.turn()

    assert client.hlen("unacked") == client.zcard("unacked_index") == 1


def test_acknowledgements_ride_on_the_next_claim(client: redis.Redis, consume: Consume) -> None:
    client.lpush("first", *(envelope(number) for number in range(4)))
    consumer = consume(prefetch=2)
    consumer.take(2)
    before = _calls(client)

    for message in consumer.messages:
        message.ack()
    consumer.channel.work()

    assert (_calls(client) - before, client.llen("first"), client.hlen("unacked")) == (1, 0, 2)


def test_acknowledgements_of_many_threads_all_arrive(client: redis.Redis, consume: Consume) -> None:
    client.lpush("first", *(envelope(number) for number in range(400)))
    consumer = consume(prefetch=400)
    consumer.take(400)

    shares = [consumer.messages[first::8] for first in range(8)]
    threads = [threading.Thread(target=lambda share=share: [message.ack() for message in share]) for share in shares]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        consumer.turn()
    consumer.turn()

    assert client.hlen("unacked") == client.zcard("unacked_index") == 0


def test_acknowledgements_survive_a_broken_connection(client: redis.Redis, consume: Consume) -> None:
    client.lpush("first", envelope("done"))
    first = consume()
    first.take(1)
    first.messages[0].ack()
    first.vanish()

    second = consume()
    second.turn()

    assert client.hlen("unacked") == 0


def test_failed_acknowledgements_are_sent_again(client: redis.Redis, consume: Consume) -> None:
    client.lpush("first", *(envelope(number) for number in range(3)))
    consumer = consume(prefetch=2)
    consumer.take(2)
    for message in consumer.messages:
        message.ack()

    client.client_kill_filter(_type="normal", skipme=True)
    with pytest.raises(redis.ConnectionError):
        consumer.channel.work()
    assert client.hlen("unacked") == 2
    consumer.turn()

    assert (client.llen("first"), client.hlen("unacked")) == (0, 1)


def test_each_queue_has_its_share_of_a_claim(client: redis.Redis, consume: Consume) -> None:
    for queue in ("first", "second", "third"):
        client.lpush(queue, *(envelope(queue, queue=queue) for _ in range(50)))

    taken = consume("first", "second", "third", prefetch=12).take(12)

    assert Counter(taken) == {"first": 4, "second": 4, "third": 4}


def test_a_busy_queue_starves_no_other_with_a_prefetch_of_one(client: redis.Redis, consume: Consume) -> None:
    client.lpush("first", *(envelope("first") for _ in range(50)))
    client.lpush("second", envelope("second", queue="second"), envelope("second", queue="second"))
    consumer = consume("first", "second", prefetch=1)

    taken = []
    for _ in range(6):
        taken += consumer.take(1)
        consumer.messages[-1].ack()

    assert taken.count("second") == 2


def test_an_almost_empty_queue_leaves_its_share_to_others(client: redis.Redis, consume: Consume) -> None:
    client.lpush("first", envelope("first"))
    client.lpush("second", *(envelope("second", queue="second") for _ in range(50)))

    assert Counter(consume("first", "second", prefetch=10).take(10)) == {"first": 1, "second": 9}


def test_a_claim_is_bounded_in_bytes(client: redis.Redis, consume: Consume) -> None:
    for queue in ("first", "second"):
        client.lpush(queue, *(envelope("x" * 10_000, queue=queue) for _ in range(4)))
    consumer = consume("first", "second", claim_bytes=20_000)

    consumer.channel.claim(["first", "second"], room=8, allow_suspect=True)
    assert (client.llen("first"), client.llen("second")) == (2, 4)

    consumer.take(8)
    assert client.hlen("unacked") == 8


def test_a_message_over_the_byte_limit_is_claimed_alone(client: redis.Redis, consume: Consume) -> None:
    client.lpush("first", envelope("x" * 10_000), envelope("small"))
    consumer = consume(claim_bytes=100)

    consumer.channel.work()
    assert (len(consumer.messages), client.llen("first")) == (1, 1)

    assert consumer.take(1) == ["small"]


def test_in_flight_bytes_stop_claims_until_some_are_acknowledged(client: redis.Redis, consume: Consume) -> None:
    client.lpush("first", *(envelope("x" * 10_000) for _ in range(6)))
    consumer = consume(claim_bytes=1, in_flight_bytes=25_000)

    assert len(consumer.take_available()) == 2
    assert client.llen("first") == 4

    consumer.messages[0].ack()
    consumer.turn()
    assert (client.llen("first"), client.hlen("unacked")) == (3, 2)


@pytest.mark.parametrize("settle", ["ack", "requeue", "reject"])
def test_acknowledged_bytes_are_no_longer_in_flight(client: redis.Redis, consume: Consume, settle: str) -> None:
    client.lpush("first", *(envelope("x" * 10_000) for _ in range(3)))
    consumer = consume()
    consumer.take(3)
    assert consumer.channel.qos.bytes > 3 * 10_000

    for message in consumer.messages[:3]:
        getattr(message, settle)()
    consumer.channel.qos.send_acks(consumer.channel.open_script_connection())

    assert consumer.channel.qos.bytes == 0


def test_urgent_messages_of_all_queues_are_first(client: redis.Redis, consume: Consume) -> None:
    client.lpush("first\x06\x163", envelope("later", priority=3))
    client.lpush("second", envelope("now", queue="second", priority=0))
    client.lpush("first\x06\x169", envelope("last", priority=9))

    assert consume("first", "second", priority_steps=[0, 3, 6, 9]).take(3) == ["now", "later", "last"]


def test_a_second_message_with_a_tag_does_not_replace_the_first(client: redis.Redis, consume: Consume) -> None:
    client.lpush("first", *(envelope("twice", delivery_tag=tag) for tag in ("7", 7)))
    consumer = consume()

    assert consumer.take(2) == ["twice", "twice"]
    assert client.hlen("unacked") == 2
    consumer.messages[0].ack()
    consumer.turn()
    assert client.hlen("unacked") == 1
    consumer.messages[1].ack()
    consumer.turn()
    assert client.hlen("unacked") == client.zcard("unacked_index") == 0


@pytest.mark.parametrize("done", [0, 1])
def test_a_late_acknowledgement_removes_the_right_one_of_two_equal_tags(
    client: redis.Redis, consume: Consume, done: int
) -> None:
    client.lpush("first", *(envelope(number, delivery_tag="7") for number in range(2)))
    late = consume()
    late.take(2)
    expire(client)
    consume("second").channel.qos.restore_expired()
    another = consume()
    assert sorted(map(str, another.take(2))) == ["0", "1"]

    late.messages[done].ack()
    late.channel.qos.send_last_acks()
    another.close()

    assert waiting(client) == [1 - done]


def test_a_script_is_loaded_again_after_redis_lost_it(client: redis.Redis, consume: Consume) -> None:
    consumer = consume()
    consumer.turn()
    client.script_flush()
    client.lpush("first", envelope("again"))

    assert consumer.take(1) == ["again"]


def test_a_key_prefix_is_before_every_key(client: redis.Redis, consume: Consume) -> None:
    client.lpush("mine:first", envelope("prefixed"))
    consumer = consume(global_keyprefix="mine:")
    assert consumer.take(1) == ["prefixed"]

    assert client.hlen("mine:unacked") == 1
    consumer.close()

    assert [job_of(item) for item in client.lrange("mine:first", 0, -1)] == ["prefixed"]
    assert not client.exists("first", "unacked", "unacked_index")


def test_messages_of_a_consumer_without_acknowledgements_are_done_when_delivered(
    client: redis.Redis, consume: Consume
) -> None:
    client.lpush("replies", envelope("pong", queue="replies"))
    channel = consume("first").channel
    received: list[object] = []
    channel.queue_declare(queue="replies")
    channel.basic_consume(queue="replies", no_ack=True, callback=received.append, consumer_tag="replies")

    channel.work()
    wait_until(lambda: not channel.has_work() or channel.work(), what="sending the acknowledgement")

    assert len(received) == 1
    assert client.hlen("unacked") == 0


def _calls(client: redis.Redis) -> int:
    return sum(
        int(figures["calls"])
        for name, figures in client.info("commandstats").items()
        if name in ("cmdstat_evalsha", "cmdstat_eval")
    )
