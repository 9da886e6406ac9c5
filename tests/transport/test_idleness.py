"""An idle worker starts a task at once, for any number of queues, and uses almost no processor time."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import redis
from kombu.asynchronous import Hub
from tests.support.transport.consumers import Consumer
from tests.support.transport.harness import envelope
from tests.support.transport.recording_app import QUEUES
from tests.support.waits import wait_until

from rollbook_worker.celery_ext.transport.poller import StandingReaders

Consume = Callable[..., Consumer]


@pytest.mark.parametrize("width", [1, 2, 4])
def test_a_message_is_delivered_within_milliseconds(client: redis.Redis, consume: Consume, width: int) -> None:
    """The goal is 5 ms. The rest of the bound is for a machine that does other work; where that delays even a plain
    blocking read, a few times as long as that takes.
    """
    consumer = consume(*QUEUES[:width], priority_steps=[0, 5])
    consumer.turn()

    waited = statistics.median(latencies(client, consumer, width))

    assert waited < max(0.02, 5 * statistics.median(latencies_of_reads(client)))


def latencies(client: redis.Redis, consumer: Consumer, width: int) -> list[float]:
    """Send messages one by one to a consumer that sleeps; return the seconds until each was delivered."""
    is_ready = threading.Event()
    waited = []

    def send() -> None:
        for number in range(60):
            is_ready.wait()
            is_ready.clear()
            time.sleep(0.002)  # the consumer goes to sleep
            client.lpush(QUEUES[number % width] + ("\x06\x165" if number % 3 else ""), envelope(time.monotonic()))

    publisher = threading.Thread(target=send)
    publisher.start()
    for _ in range(60):
        is_ready.set()
        (sent,) = consumer.take(1)
        waited.append(time.monotonic() - float(str(sent)))
        consumer.messages[-1].ack()
    publisher.join()
    return waited


def latencies_of_reads(client: redis.Redis) -> list[float]:
    """Send as many messages to a client that does nothing but wait for them."""
    is_ready = threading.Event()
    waited = []

    def send() -> None:
        for _ in range(60):
            is_ready.wait()
            is_ready.clear()
            time.sleep(0.002)
            client.lpush("plain", time.monotonic())

    publisher = threading.Thread(target=send)
    publisher.start()
    for _ in range(60):
        is_ready.set()
        popped = client.brpop(["plain"])
        assert popped is not None
        waited.append(time.monotonic() - float(popped[1]))
    publisher.join()
    return waited


def test_an_idle_consumer_polls_once_a_second(client: redis.Redis, consume: Consume) -> None:
    consumer = consume("first", "second")
    consumer.turn()
    client.config_resetstat()

    with pytest.raises(TimeoutError):
        consumer.listen(2)

    assert 1 <= client.info("commandstats")["cmdstat_evalsha"]["calls"] <= 8


def test_a_consumer_without_notifications_polls(
    client: redis.Redis, consume: Consume, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise redis.ResponseError("NOPERM")

    monkeypatch.setattr("rollbook_worker.celery_ext.transport.channel.track_reads", refuse)
    consumer = consume()
    consumer.turn()
    publisher = threading.Timer(0.1, lambda: client.lpush("first", envelope("unannounced")))
    publisher.start()

    assert consumer.take(1) == ["unannounced"]
    assert "sends no notifications" in caplog.text


def test_the_loop_is_given_each_reader_once(monkeypatch: pytest.MonkeyPatch) -> None:
    hub: Any = Hub()  # type: ignore[no-untyped-call]
    watched: set[int] = set()
    readers = StandingReaders(hub, watched)
    given: list[int] = []
    monkeypatch.setattr(hub, "add", lambda file, *_: given.append(file))
    hub.readers.update({4: None, 5: None})

    for file in (4, 5, 4, 5):
        readers.add_reader(file, print, file)
    assert given == [4, 5]

    del hub.readers[4]  # as the hub does where a callback fails
    readers.add_reader(4, print, 4)
    readers.add_reader(5, print, 5)
    assert given == [4, 5, 4]

    watched.clear()
    readers.add_reader(5, print, 5)
    assert given == [4, 5, 4, 5]


def test_after_a_reconnection_the_loop_is_given_all_readers_again(consume: Consume) -> None:
    consumer = consume()
    consumer.turn()
    cycle = consumer.channel.connection.cycle
    cycle.on_poll_start()
    cycle.watched.update(cycle.fds)

    cycle.on_poll_start()
    assert cycle.watched == set(cycle.fds) != set()

    consumer.channel.client.connection.disconnect()
    cycle.on_poll_start()
    assert not cycle.watched


def test_missing_notifications_are_noticed(client: redis.Redis, consume: Consume) -> None:
    consumer = consume()
    consumer.turn()
    consumer.channel.connection.cycle.on_poll_start()

    consumer.channel.ping()
    assert consumer.channel._brpop_sent_at is not None

    def is_answered() -> bool:
        with suppress(TimeoutError):
            consumer.listen(0.1)
        return consumer.channel._brpop_sent_at is None

    wait_until(is_answered, what="the answer to the ping")

    client.client_pause(500)  # what a connection looks like behind which no one is left
    consumer.channel.ping()
    consumer.channel._brpop_sent_at = time.monotonic() - 1_000
    consumer.channel.connection.cycle.maybe_check_brpop_health()

    assert not consumer.channel._in_poll
