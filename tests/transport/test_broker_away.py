"""What a worker's loop sends while the broker is away does not block the loop, which handles the signals."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import Celery
from kombu.exceptions import OperationalError
from tests.support.brokers import broker_program
from tests.support.event_listener import EventListener
from tests.support.waits import DEADLINE_SECONDS, wait_until

from rollbook_ops.devstack import Servers
from rollbook_worker.celery_ext.event_dispatcher import EVENTS
from rollbook_worker.celery_ext.remote_control import CONTROL


@pytest.fixture
def broker(starts_servers: None) -> Iterator[Servers]:
    with Servers(database_url="postgresql://not-needed", durable=False, valkey_program=broker_program()) as servers:
        yield servers


@pytest.fixture
def app(broker: Servers) -> Iterator[Any]:
    with Celery(broker=broker.broker_url, set_as_current=False, control=CONTROL, events=EVENTS) as app:
        yield app


def ended(call: Callable[[], object]) -> BaseException | None:
    """Wait for the end of the call, and return what it raised."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(DEADLINE_SECONDS)
    assert not thread.is_alive(), "it waits for the broker"
    return raised[0] if raised else None


def test_a_heartbeat_is_not_retried_and_is_sent_after_the_outage(broker: Servers, app: Any) -> None:
    with app.connection_for_write() as connection:
        dispatcher = app.events.Dispatcher(connection, hostname="w@h")
        dispatcher.send("worker-online")
        broker.valkey.stop()

        assert ended(lambda: dispatcher.send("worker-heartbeat", freq=2.0, retry=True)) is None

        broker.valkey.start()
        with EventListener(broker.broker_url) as heard:
            dispatcher.flush()
            wait_until(lambda: [event["type"] for event in heard.events] == ["worker-heartbeat"], what="hearing it")


def test_an_answer_to_a_remote_command_is_not_retried(broker: Servers, app: Any) -> None:
    with app.connection_for_read() as connection:
        node = app.control.mailbox.Node("w@h", channel=connection.default_channel)
        node.reply({"w@h": "pong"}, "reply.celery.pidbox", "key", "ticket")
        broker.valkey.stop()

        error = ended(lambda: node.reply({"w@h": "pong"}, "reply.celery.pidbox", "key", "ticket"))

    assert isinstance(error, OperationalError)
