"""The process that delivers: it starts a loop for each channel, follows the registry, and stops without a loss."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.support.senders.http_sink import HttpSink, answer
from tests.support.senders.memory_deliveries import MemoryDeliveries
from tests.support.waits import DEADLINE_SECONDS, wait_until

from rollbook_delivery.process.delivery_process import DeliveryProcess
from rollbook_delivery.results import Failed, Sent
from rollbook_shared.errors import NotConfigured
from rollbook_shared.observability.health_file import HealthState
from rollbook_shared.registry import RegistryFile

SECRETS = {"HOOK_SECRET": "whsec_" + "A" * 44}


def registry(sink: HttpSink, path: str = "/one", *, more: str = "") -> str:
    return f"""
    [channels.push]
    type = "push"
    delivery = "webhook"
    [channels.push.options]
    url = "http://127.0.0.1:{sink.port}{path}"
    secret_envs = ["HOOK_SECRET"]
    allow_private = true
    {more}
    [channels.own]
    type = "sms"
    delivery = "claim"
    """


@pytest.fixture
def file(tmp_path: Path, sink: HttpSink) -> Path:
    (path := tmp_path / "registry.toml").write_text(registry(sink))
    return path


def process(file: Path, deliveries: MemoryDeliveries, **options: Any) -> DeliveryProcess:
    return DeliveryProcess(RegistryFile(str(file)), lambda: deliveries, lambda _: None, SECRETS, **options)


@contextmanager
def running(process: DeliveryProcess) -> Iterator[None]:
    stopped, failures = threading.Event(), []

    def run() -> None:
        try:
            process.run(stopped)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join(DEADLINE_SECONDS)
    assert not thread.is_alive()
    assert failures == []


def last_post(deliveries: MemoryDeliveries, sink: HttpSink) -> str:
    """What was posted last. Another message waits to be delivered now."""
    deliveries.add(1)
    return sink.posts[-1].line


def test_it_delivers_until_it_is_stopped(file: Path, sink: HttpSink) -> None:
    deliveries = MemoryDeliveries()
    deliveries.add(3)
    made = process(file, deliveries)

    with running(made):
        wait_until(lambda: len(deliveries.reported) == 3)
        wait_until(lambda: made.state() is HealthState.READY)

    assert {result for _, result in deliveries.reported} == {Sent()}
    assert sorted(post.headers["webhook-id"] for post in sink.posts) == ["m0", "m1", "m2"]
    assert deliveries.closed


def test_a_changed_channel_is_delivered_as_the_registry_says_now(file: Path, sink: HttpSink) -> None:
    deliveries = MemoryDeliveries()
    deliveries.add(1)

    with running(process(file, deliveries)):
        wait_until(lambda: len(deliveries.reported) == 1)
        file.write_text(registry(sink, "/second"))
        wait_until(lambda: last_post(deliveries, sink).startswith("POST /second"))

        # what cannot be used changes nothing
        file.write_text(registry(sink, "/third", more="unknown = 1"))
        count = len(sink.posts)
        wait_until(lambda: last_post(deliveries, sink) and len(sink.posts) > count + 3)
        assert sink.posts[-1].line.startswith("POST /second")

        # a channel that has no sender of ours any more is left to the application's
        file.write_text(registry(sink).replace('delivery = "webhook"', 'delivery = "claim"'))
        wait_until(lambda: last_post(deliveries, sink) and len(deliveries.waiting) > 10)


def test_a_webhook_that_is_gone_is_said_by_the_health_check(
    file: Path, sink: HttpSink, caplog: pytest.LogCaptureFixture
) -> None:
    sink.answers = lambda _: answer(410)
    deliveries = MemoryDeliveries()
    deliveries.add(20)
    made = process(file, deliveries)

    with running(made):
        wait_until(lambda: made.state() is HealthState.WAITING and bool(deliveries.reported))

    assert all(isinstance(result, Failed) and result.stops for _, result in deliveries.reported)
    assert "push is stopped: the webhook answered 410 (gone)" in caplog.text
    assert "ann@" not in caplog.text


@pytest.mark.parametrize(
    ("change", "only", "error"),
    [
        (("HOOK_SECRET", "NO_SECRET"), (), "NO_SECRET, which is not set"),
        (("allow_private = true", "allow = 1"), (), "allow: is not a known field"),
        (('delivery = "webhook"', 'delivery = "claim"'), (), "no channel that this process could deliver"),
        (("", ""), ("own",), "no channel that this process could deliver"),
        (("", ""), ("other",), 'the registry has no [channels."other"]'),
    ],
)
def test_it_does_not_start_with_what_cannot_be_used(
    file: Path, change: tuple[str, str], only: tuple[str, ...], error: str
) -> None:
    file.write_text(file.read_text().replace(*change))

    with pytest.raises(NotConfigured) as raised:
        process(file, MemoryDeliveries(), only=only)

    assert error in str(raised.value)


def test_a_hangup_reads_the_registry_at_once(file: Path, sink: HttpSink) -> None:
    """In the main thread, where signals arrive."""
    deliveries = MemoryDeliveries()
    deliveries.add(1)
    made = process(file, deliveries)
    stopped = threading.Event()

    def change() -> None:
        wait_until(lambda: len(deliveries.reported) == 1)
        file.write_text(registry(sink, "/second"))
        os.kill(os.getpid(), signal.SIGHUP)
        wait_until(lambda: last_post(deliveries, sink).startswith("POST /second"))
        stopped.set()

    thread = threading.Thread(target=change)
    thread.start()
    made.run(stopped)
    thread.join()

    assert sink.posts[-1].line.startswith("POST /second")
