"""The queues belong to one store. The first worker notes its store beside them; workers of another take nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from tests.support.transport.consumers import Consumer, expire, waiting
from tests.support.transport.harness import envelope

Consume = Callable[..., Consumer]
OURS, OTHER = "11111111-0000-4000-8000-000000000000", "22222222-0000-4000-8000-000000000000"
KEY = "rollbook.store"


@pytest.fixture
def fill(client: redis.Redis) -> Iterator[Callable[[], object]]:
    """Make Redis full."""
    yield lambda: client.config_set("maxmemory", 1)
    client.config_set("maxmemory", 0)


def known(store: str) -> dict[str, Any]:
    return {"store_id": lambda: store}


def test_the_first_worker_notes_its_store(client: redis.Redis, consume: Consume) -> None:
    client.lpush("first", envelope("job"))

    assert consume(**known(OURS)).take(1) == ["job"]

    assert client.get(KEY) == OURS.encode()
    client.lpush("first", envelope("next"))
    assert consume(**known(OURS)).take(1) == ["next"]


def test_a_worker_of_another_store_takes_nothing_and_says_why(
    client: redis.Redis, consume: Consume, caplog: pytest.LogCaptureFixture
) -> None:
    client.set(KEY, OTHER)
    client.lpush("first", envelope("not ours"))
    consumer = consume(**known(OURS))

    with caplog.at_level(logging.ERROR):
        assert consumer.take_available() == consumer.take_available() == []

    assert waiting(client) == ["not ours"]
    assert client.exists("unacked") == 0
    assert client.get(KEY) == OTHER.encode()
    assert not consumer.channel.takes_messages
    (said,) = [record.getMessage() for record in caplog.records]
    assert "belong to another database (store 22222222, this one is 11111111)" in said
    assert "rollbook broker adopt" in said


@pytest.mark.parametrize("mend", [lambda client: client.set(KEY, OURS), lambda client: client.delete(KEY)])
def test_it_begins_by_itself_when_the_queues_are_its_own(
    client: redis.Redis, consume: Consume, mend: Callable[[redis.Redis], object]
) -> None:
    client.set(KEY, OTHER)
    client.lpush("first", envelope("ours now"))
    consumer = consume(**known(OURS))
    assert consumer.take_available() == []

    mend(client)

    assert consumer.take(1) == ["ours now"]
    assert consumer.channel.takes_messages
    assert client.get(KEY) == OURS.encode()


def test_a_lost_note_is_set_again(client: redis.Redis, consume: Consume) -> None:
    consumer = consume(**known(OURS))
    consumer.turn()
    client.flushdb()

    client.lpush("first", envelope("after the loss"))

    assert consumer.take(1) == ["after the loss"]
    assert client.get(KEY) == OURS.encode()


def test_a_worker_of_another_store_restores_nothing(client: redis.Redis, consume: Consume) -> None:
    client.lpush("first", envelope("left"))
    lost = consume(**known(OTHER))
    lost.take(1)
    lost.vanish()
    expire(client)

    consume("second", **known(OURS)).channel.qos.restore_expired()
    assert client.hlen("unacked") == 1

    consume("second", **known(OTHER)).channel.qos.restore_expired()
    assert waiting(client) == ["left"]


def test_what_was_done_is_acknowledged_in_queues_of_another_store(client: redis.Redis, consume: Consume) -> None:
    client.lpush("first", envelope("done"))
    consumer = consume(**known(OURS))
    consumer.take(1)
    client.set(KEY, OTHER)

    consumer.messages[0].ack()
    consumer.turn()

    assert client.exists("unacked", "unacked_index") == 0


def test_nothing_is_taken_before_the_store_is_known(client: redis.Redis, consume: Consume) -> None:
    found: list[str] = []
    client.lpush("first", envelope("early"))
    consumer = consume(store_id=lambda: found[0] if found else None)

    assert consumer.take_available() == []
    assert not consumer.channel.takes_messages
    found.append(OURS)

    assert consumer.take(1) == ["early"]


def test_a_full_redis_is_emptied_although_it_takes_no_note(
    client: redis.Redis, consume: Consume, fill: Callable[[], object]
) -> None:
    client.lpush("first", envelope("stored"))
    fill()
    consumer = consume(**known(OURS))

    assert consumer.take(1) == ["stored"]
    assert client.get(KEY) is None

    client.config_set("maxmemory", 0)
    consumer.turn()
    assert client.get(KEY) == OURS.encode()


def test_consumers_without_a_store_note_nothing(client: redis.Redis, consume: Consume) -> None:
    client.lpush("first", envelope("job"))

    assert consume().take(1) == ["job"]

    assert client.exists(KEY) == 0
