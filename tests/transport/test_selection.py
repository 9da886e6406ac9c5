"""Which transport is used where: by setting, by the scheme of the URL, and only by workers."""

from __future__ import annotations

import os
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import redis
from kombu.transport import redis as kombu_redis
from tests.support.brokers import broker_program, connect_to_broker
from tests.support.python_processes import spawn_python
from tests.support.transport.consumers import KombuConsumer
from tests.support.transport.harness import envelope
from tests.support.waits import DEADLINE_SECONDS, wait_until

from rollbook_ops.devstack import Servers, processes
from rollbook_ops.devstack.endpoint import free_port
from rollbook_shared.errors import NotConfigured
from rollbook_shared.settings import Settings
from rollbook_worker.app import make_app
from rollbook_worker.celery_ext.transport import LeasedConnection
from rollbook_worker.celery_ext.transport.transport import LeasedSentinelTransport, LeasedTransport


def settings(**environment: str) -> Settings:
    return Settings.from_env({"ROLLBOOK_BROKER_URL": "redis://localhost:1/0"} | environment)


def test_only_workers_use_our_transport() -> None:
    app = make_app(settings())

    assert type(app.connection_for_read().transport) is LeasedTransport
    assert type(app.connection_for_write().transport) is kombu_redis.Transport
    assert type(app.connection().transport) is kombu_redis.Transport


def test_a_setting_selects_the_stock_transport() -> None:
    app = make_app(settings(ROLLBOOK_TRANSPORT="stock"))

    assert type(app.connection_for_read().transport) is kombu_redis.Transport


def test_an_unknown_transport_is_rejected() -> None:
    with pytest.raises(NotConfigured, match="ROLLBOOK_TRANSPORT must be rollbook or stock"):
        settings(ROLLBOOK_TRANSPORT="carrier pigeon")


def test_our_transport_is_logged_as_redis() -> None:
    assert make_app(settings()).connection_for_read().as_uri() == "redis://:**@localhost:1/0"


def test_the_scheme_selects_redis_or_sentinel() -> None:
    urls = {
        "redis://a": LeasedTransport,
        "rediss://a": LeasedTransport,
        "sentinel://a:1;sentinel://b:2": LeasedSentinelTransport,
    }

    assert {url: type(LeasedConnection(url).transport) for url in urls} == urls


@pytest.mark.skipif("ROLLBOOK_TEST_BROKER_PROGRAM" in os.environ, reason="another one is to be in Valkey's place")
def test_each_broker_is_of_the_make_in_its_name(client: redis.Redis, request: pytest.FixtureRequest) -> None:
    """Some `redis-server` is a Valkey under another name, which would prove nothing about Redis."""
    make = request.node.callspec.params["broker"]

    assert client.info("server").get("server_name", "redis") == make


def test_an_alternate_url_keeps_our_transport() -> None:
    connection: Any = LeasedConnection("redis://a;redis://b")

    connection.maybe_switch_next()

    assert connection.hostname == "b"
    assert type(connection.transport) is LeasedTransport
    assert type(connection.clone().transport) is LeasedTransport


@pytest.fixture
def sentinel(starts_servers: None, tmp_path: Path) -> Iterator[str]:
    """A Sentinel that watches a Valkey of its own; its URL."""
    port = free_port()
    with Servers(database_url="postgresql://not-needed", valkey_program=broker_program()) as servers:
        master = servers.valkey
        password = servers.broker_url.split("@")[0].removeprefix("redis://:")
        config = tmp_path / "sentinel.conf"
        config.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {tmp_path}\nsentinel monitor ours 127.0.0.1 {master.port} 1\n"
            f"sentinel auth-pass ours {password}\n"
        )
        process = processes.spawn([broker_program(), config, "--sentinel"], log=tmp_path / "sentinel.log")
        try:
            wait_until(lambda: _listens(port), what="Sentinel")
            yield f"sentinel://:{password}@127.0.0.1:{port}/0"
        finally:
            processes.stop(process)


def test_a_master_found_by_sentinel_can_be_consumed(sentinel: str) -> None:
    options = {"master_name": "ours", "sentinel_kwargs": {}, "priority_steps": [0], "lease": 1}
    received: list[Any] = []
    connection: Any = LeasedConnection(sentinel, transport_options=options)
    with connection:
        channel = connection.channel()
        queue = connection.SimpleQueue("first", channel=channel).queue
        with (
            redis.Redis(connection_pool=channel.pool) as client,
            KombuConsumer(channel, queue, on_message=received.append),
        ):
            client.lpush("first", envelope("found"))
            while not received:
                connection.drain_events(timeout=DEADLINE_SECONDS)
            assert client.hlen("unacked") == 1
            received[0].ack()

            def is_acknowledged() -> bool:
                with suppress(TimeoutError):
                    connection.drain_events(timeout=0.1)
                return not client.hlen("unacked")

            wait_until(is_acknowledged, what="the acknowledgement")


def test_flower_shows_the_length_of_each_queue(broker_url: str, tmp_path: Path) -> None:
    with connect_to_broker(broker_url) as client:
        client.flushdb()
        client.lpush("default", *(envelope(number) for number in range(37)))
    port = free_port()
    flower = spawn_python(
        [
            *("-m", "celery", "-A", "rollbook_worker.app", "flower"),
            *("--address=127.0.0.1", f"--port={port}"),
        ],
        log=tmp_path / "flower.log",
        env=os.environ | {"CELERY_BROKER_URL": broker_url, "ROLLBOOK_BROKER_URL": broker_url},
    )
    try:
        wait_until(lambda: _listens(port), what="Flower")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/broker", timeout=DEADLINE_SECONDS) as page:
            assert page.status == 200
            assert "37" in page.read().decode()
    finally:
        processes.stop(flower)


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
