"""Messages that cannot be delivered become dead letters for a task that stores them, and block nothing."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest
import redis
from tests.support.transport.consumers import Consumer, expire, waiting
from tests.support.transport.harness import envelope

Consume = Callable[..., Consumer]
SUSPECT = "00000000-0000-4000-8000-000000000000"
LAST_OF_A_MESSAGE = f'"properties":{{"delivery_info":{{}},"delivery_tag":"{SUSPECT}"}}}}'.encode()
"""As our client writes it: the script that claims decodes no text that ends like this."""
NO_MESSAGES = [
    b"",
    b"not json",
    b"\xff\xfe\x00",
    b"null",
    b"7",
    b'"text"',
    b"[]",
    b"{}",
    b'{"properties": null}',
    b'{"properties": {"delivery_tag": "t"}}',
    b'{"properties": {"delivery_info": {}}}',
    b'{"properties": {"delivery_tag": {}, "delivery_info": {}}}',
    b'{"body": "not base64!", "properties": {"delivery_tag": "b", "delivery_info": {}, "body_encoding": "base64"}}',
    b'{"body": "b", "properties": {"delivery_tag": "e", "delivery_info": {}, "body_encoding": "rot13"}}',
    b'{"body": "\xff", "properties": {"delivery_tag": "u", "delivery_info": {}}}',
    b"[" * 5_000,
    b'{"x":' + b"[" * 1_100 + b"]" * 1_100 + b"," + LAST_OF_A_MESSAGE,
    b"not json " + LAST_OF_A_MESSAGE,
    b'"' + LAST_OF_A_MESSAGE,
]


def dead_letters(consumer: Consumer, count: int) -> list[list[Any]]:
    """Take so many dead letters: text, reason, code."""
    consumer.take(count)
    found = consumer.messages[-count:]
    assert all(message.headers["task"] == "rollbook.dead_letter" for message in found)
    return [json.loads(message.body)[0] for message in found]


@pytest.mark.parametrize("item", NO_MESSAGES, ids=range(len(NO_MESSAGES)))
def test_an_invalid_item_becomes_a_dead_letter_and_the_next_is_delivered(
    client: redis.Redis, consume: Consume, item: bytes
) -> None:
    client.lpush("first", item, envelope("good"))
    consumer = consume()

    consumer.take(2)

    jobs = {message.headers["task"]: json.loads(message.body)[0] for message in consumer.messages}
    text, _, code = jobs["rollbook.dead_letter"]
    assert jobs["note"] == ["good"]
    assert (text, code) == (item.decode(errors="backslashreplace"), "malformed")
    assert client.hlen("unacked") == 2


@pytest.mark.parametrize("junk", [b"x", b"\xff"], ids=["text", "bytes"])
def test_the_start_of_a_large_invalid_item_is_kept(client: redis.Redis, consume: Consume, junk: bytes) -> None:
    client.lpush("first", junk * 3_000_000)

    ((text, reason, _),) = dead_letters(consume(), 1)

    assert text == (junk * 1_000_000).decode(errors="backslashreplace")
    assert reason == "not a message that can be read; only its first 1000000 bytes are kept"


def test_an_unacknowledged_dead_letter_is_redelivered(client: redis.Redis, consume: Consume) -> None:
    client.lpush("first", b"not json")
    consumer = consume()
    dead_letters(consumer, 1)
    consumer.close()

    assert dead_letters(consume(), 1)[0][0] == "not json"


def test_a_message_with_too_many_failed_deliveries_becomes_a_dead_letter(client: redis.Redis, consume: Consume) -> None:
    item = envelope("killer")
    client.lpush("first", item)

    for _ in range(3):
        lost = consume(max_deliveries=3)
        assert lost.take(1) == ["killer"]
        lost.vanish()
        expire(client)
        consume("second", max_deliveries=3).channel.qos.restore_expired()

    ((text, _, code),) = dead_letters(consume(), 1)
    assert code == "kills_worker"
    assert json.loads(text)["body"] == json.loads(item)["body"]
    assert not client.exists("unacked_deliveries")


def test_a_requeue_counts_as_a_delivery(client: redis.Redis, consume: Consume) -> None:
    client.lpush("first", envelope("unwanted"))
    consumer = consume(max_deliveries=2)

    assert consumer.take(1) == ["unwanted"]
    consumer.messages[-1].reject(requeue=True)
    assert consumer.take(1) == ["unwanted"]
    consumer.messages[-1].reject(requeue=True)

    assert dead_letters(consumer, 1)[0][2] == "kills_worker"


def test_a_rejected_message_becomes_a_dead_letter(client: redis.Redis, consume: Consume) -> None:
    client.lpush("first", envelope("rejected"))
    consumer = consume()
    consumer.take(1)

    consumer.messages[0].reject(requeue=False)

    assert dead_letters(consumer, 1)[0][2] == "unexpected_error"


def test_a_release_does_not_count_as_a_delivery(client: redis.Redis, consume: Consume) -> None:
    client.lpush("first", envelope("other"))

    for _ in range(7):
        consumer = consume(max_deliveries=3)
        assert consumer.take(1) == ["other"]
        consumer.close()

    assert waiting(client) == ["other"]


def test_an_acknowledged_message_leaves_no_delivery_count(client: redis.Redis, consume: Consume) -> None:
    client.lpush("first", envelope("unlucky"))
    lost = consume()
    lost.take(1)
    lost.vanish()
    expire(client)
    consumer = consume()
    consumer.channel.qos.restore_expired()

    consumer.take(1)
    consumer.messages[0].ack()
    consumer.turn()

    assert client.keys("unacked*") == []


def test_a_message_that_no_worker_can_read_becomes_a_dead_letter_of_its_queue(
    client: redis.Redis, consume: Consume
) -> None:
    """Its worker died before it found out."""
    client.hset("unacked", SUSPECT, '[not json,"","first"]')
    client.zadd("unacked_index", {SUSPECT: 1})
    consumer = consume()

    consumer.channel.qos.restore_expired()

    assert dead_letters(consumer, 1)[0][0] == "not json"


def test_a_poison_suspect_is_delivered_alone(client: redis.Redis, consume: Consume) -> None:
    client.hset("unacked_deliveries", SUSPECT, "2")
    client.lpush("first", envelope(0), envelope("suspect", delivery_tag=SUSPECT), envelope(1), envelope(2))
    consumer = consume()

    assert consumer.take_available() == [0]
    consumer.messages[-1].ack()
    assert consumer.take_available() == ["suspect"]
    consumer.messages[-1].ack()
    assert consumer.take_available() == [1, 2]


def test_a_worker_that_is_never_idle_takes_a_poison_suspect_in_the_end(
    client: redis.Redis, consume: Consume, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rollbook_worker.celery_ext.transport.claimed_messages.SUSPECT_WAIT_SECONDS", 0)
    client.hset("unacked_deliveries", SUSPECT, "2")
    client.lpush("first", envelope(0), envelope("suspect", delivery_tag=SUSPECT), envelope(1))

    assert consume().take(3) == [0, "suspect", 1]


def test_a_lost_poison_suspect_goes_to_the_end_of_the_queue(client: redis.Redis, consume: Consume) -> None:
    client.hset("unacked_deliveries", SUSPECT, "1")
    client.lpush("first", envelope("suspect", delivery_tag=SUSPECT), envelope(1))
    lost = consume(prefetch=1)
    lost.take(1)
    lost.vanish()
    expire(client)

    consume("second").channel.qos.restore_expired()

    assert waiting(client) == [1, "suspect"]


def test_a_dead_letter_that_kills_its_worker_is_parked(client: redis.Redis, consume: Consume) -> None:
    client.lpush("first", b"not json")
    consumer = consume(max_deliveries=1)
    dead_letters(consumer, 1)

    consumer.messages[0].reject(requeue=True)
    consumer.turn()

    assert client.llen("first") == client.hlen("unacked") == 0
    assert client.llen("dead_letters") == 1


def test_a_foreign_message_in_utf8_is_delivered(client: redis.Redis, consume: Consume) -> None:
    item = json.loads(envelope("x"))
    item["headers"]["who"] = "Zoë"
    item["body"] = b64encode(json.dumps([["Zoë"], {}, {}], ensure_ascii=False).encode()).decode()
    client.lpush("first", json.dumps(item, ensure_ascii=False))
    consumer = consume()

    assert consumer.take(1) == ["Zoë"]
    assert consumer.messages[0].headers["who"] == "Zoë"
