"""An idle worker begins at once, whatever the number of its queues, and is not busy with being idle."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable

import pytest
import redis
from tests.support.transport.consumers import Consumer
from tests.support.transport.harness import envelope
from tests.support.transport.recording_app import QUEUES

Consume = Callable[..., Consumer]


@pytest.mark.parametrize("width", [1, 2, 4])
def test_a_message_is_delivered_within_milliseconds(client: redis.Redis, consume: Consume, width: int) -> None:
    consumer = consume(*QUEUES[:width], priority_steps=[0, 5])
    consumer.turn()
    told = threading.Event()
    waited = []

    def send() -> None:
        for number in range(60):
            told.wait()
            told.clear()
            time.sleep(0.002)  # the consumer goes to sleep
            client.lpush(QUEUES[number % width] + ("\x06\x165" if number % 3 else ""), envelope(time.monotonic()))

    publisher = threading.Thread(target=send)
    publisher.start()
    for _ in range(60):
        told.set()
        (sent,) = consumer.take(1)
        waited.append(time.monotonic() - float(str(sent)))
        consumer.messages[-1].ack()
    publisher.join()

    assert statistics.median(waited) < 0.02, "the goal is 5 ms; the rest is for a machine that does other things"


def test_an_idle_consumer_asks_once_a_second(client: redis.Redis, consume: Consume) -> None:
    consumer = consume("first", "second")
    consumer.turn()
    client.config_resetstat()

    with pytest.raises(TimeoutError):
        consumer._connection.drain_events(timeout=2)

    assert 1 <= client.info("commandstats")["cmdstat_evalsha"]["calls"] <= 8


def test_without_news_messages_are_found_within_a_second(
    client: redis.Redis, consume: Consume, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise redis.ResponseError("NOPERM")

    monkeypatch.setattr("rollbook_worker.celery_ext.transport.channel.tell", refuse)
    consumer = consume()
    consumer.turn()
    publisher = threading.Timer(0.1, lambda: client.lpush("first", envelope("unannounced")))
    publisher.start()

    assert consumer.take(1) == ["unannounced"]
    assert "does not tell of new messages" in caplog.text


def test_news_that_stopped_coming_are_noticed(client: redis.Redis, consume: Consume) -> None:
    consumer = consume()
    consumer.turn()
    consumer.channel.connection.cycle.on_poll_start()

    consumer.channel.ping()
    assert consumer.channel._brpop_sent_at is not None
    with pytest.raises(TimeoutError):
        consumer._connection.drain_events(timeout=0.3)
    assert consumer.channel._brpop_sent_at is None

    client.client_pause(500)  # what a connection looks like behind which nobody is left
    consumer.channel.ping()
    consumer.channel._brpop_sent_at = time.monotonic() - 1_000
    consumer.channel.connection.cycle.maybe_check_brpop_health()

    assert not consumer.channel._in_poll
