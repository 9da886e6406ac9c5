"""Entries and keys in Redis that no worker of ours wrote: none loses a message or keeps other messages from moving."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

import pytest
import redis
from tests.support.transport.consumers import Consumer, expire, waiting
from tests.support.transport.harness import envelope

Consume = Callable[..., Consumer]
UNACKED_KEYS: Final = ("unacked", "unacked_index", "unacked_deliveries")
_MESSAGE: Final = json.loads(envelope("x"))


def entry(message: Any, exchange: Any, routing_key: Any) -> str:
    """An entry of `unacked` as a stock worker writes it."""
    return json.dumps([message, exchange, routing_key])


BAD_ENTRIES: Final[dict[str, str]] = {
    "an exchange that is null": entry(_MESSAGE, None, "first"),
    "an exchange that is an object": entry(_MESSAGE, {"a": 1}, "first"),
    "an exchange that is a number": entry(_MESSAGE, 7, "first"),
    "a routing key that is null": entry(_MESSAGE, "", None),
    "a routing key that is a list": entry(_MESSAGE, "first", ["first"]),
    "a message without properties": entry({"body": "x"}, "", "first"),
    "properties that are null": entry({**_MESSAGE, "properties": None}, "", "first"),
    "no message": entry(None, "", "first"),
    "no parts": "[]",
    "no JSON": "not json",
}


@pytest.mark.parametrize("bad", BAD_ENTRIES.values(), ids=BAD_ENTRIES)
def test_a_bad_entry_ends_no_sweep(client: redis.Redis, consume: Consume, bad: str) -> None:
    client.lpush("first", envelope("before"), envelope("after"))
    lost = consume()
    lost.take(2)
    lost.vanish()
    client.hset("unacked", "bad", bad)
    expire(client)
    client.zadd("unacked_index", {"bad": 0})  # the first of the sweep

    consume("second").channel.qos.restore_expired()

    assert sorted(map(str, waiting(client))) == ["after", "before"]
    assert client.lrange("dead_letters", 0, -1) == [bad.encode()]
    assert client.exists("unacked", "unacked_index") == 0


@pytest.mark.parametrize("command", ["SADD", "SET"])
def test_an_exchange_with_broken_bindings_ends_no_sweep(client: redis.Redis, consume: Consume, command: str) -> None:
    client.lpush("first", envelope("other"))
    lost = consume()
    lost.take(1)
    lost.vanish()
    if command == "SADD":
        client.sadd("_kombu.binding.odd", "no separator")
    else:
        client.set("_kombu.binding.odd", "no set")
    client.hset("unacked", "odd", entry(_MESSAGE, "odd", "first"))
    expire(client)
    client.zadd("unacked_index", {"odd": 0})

    consume("second").channel.qos.restore_expired()

    assert waiting(client) == ["other"]
    assert client.hkeys("unacked") == [b"odd"]  # it stays until its queue is declared again


@pytest.mark.parametrize("key", UNACKED_KEYS)
def test_a_claim_that_cannot_be_recorded_takes_nothing(client: redis.Redis, consume: Consume, key: str) -> None:
    client.lpush("first", *(envelope(number) for number in range(3)))
    consumer = consume()
    client.set(key, "of another type")

    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        consumer.turn()

    assert waiting(client) == [0, 1, 2]
    assert all(not client.exists(other) for other in UNACKED_KEYS if other != key)
    client.delete(key)
    assert consume().take(3) == [0, 1, 2]


def test_a_queue_that_is_no_list_keeps_no_message_of_another(client: redis.Redis, consume: Consume) -> None:
    client.lpush("first", envelope("good"))
    consumer = consume("first", "second")
    client.set("second", "of another type")

    consumer.channel.claim(["first", "second"], room=10, allow_suspect=True)
    assert [message.queue for message in consumer.channel.qos.undelivered.messages] == ["first"]

    consumer.channel.expect_messages()
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        consumer.channel.claim(["second", "first"], room=10, allow_suspect=True)


@pytest.mark.parametrize("key", ["unacked_index", "unacked_deliveries", "first", "dead_letters"])
@pytest.mark.parametrize("how", ["release", "requeue", "reject", "restore"])
def test_a_key_of_another_type_loses_no_message(client: redis.Redis, consume: Consume, how: str, key: str) -> None:
    client.lpush("first", envelope("precious"))
    holder = consume("first", max_deliveries=2)
    holder.take(1)
    (tag,) = client.hkeys("unacked")
    leases = client.dump("unacked_index") or b""
    client.delete(key)
    client.set(key, "of another type")

    try:
        match how:
            case "release":
                holder.channel.qos.release()
            case "requeue":
                holder.messages[0].reject(requeue=True)
            case "reject":
                holder.messages[0].reject(requeue=False)
            case _:
                if key != "unacked_index":
                    expire(client)
                consume("second", max_deliveries=2).channel.qos.restore_expired()
    except redis.ResponseError:
        pass
    holder.vanish()

    if client.type(key) == b"string":
        client.delete(key)
    if not client.exists("unacked_index") and client.hexists("unacked", tag):
        client.restore("unacked_index", 0, leases)
    expire(client)
    other = consume("first", max_deliveries=9)
    other.channel.qos.restore_expired()
    other.take(1)
    assert b"precious" in other.messages[0].body or b"rollbook.dead_letter" in repr(other.messages[0].headers).encode()
