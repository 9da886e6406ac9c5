"""The loop of a sender: it waits, claims, hands over and reports; blocking, and in coroutines."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path

import pytest
from tests.support.brokers import wait_until_subscribed
from tests.support.builders import user
from tests.support.deliveries import MAIL, REGISTRY, DeliveryStore
from tests.support.waits import DEADLINE_SECONDS

from rollbook import AsyncRollbook, DeliveryFailed, Rollbook
from rollbook_shared import jobs
from rollbook_shared.due_deliveries import REDIS_CHANNEL, encode_channels, names_channel
from rollbook_shared.jobs.models import Job
from rollbook_shared.registry import Registry, parse_registry
from rollbook_worker.due_deliveries import DeliveryNotifier, delivered_channels

pytestmark = pytest.mark.servers
EVER = 3600
"""As long as no test waits: only what is published ends the wait."""


@pytest.fixture
def sender(delivery_store: DeliveryStore, broker_url: str, registry_path: Path) -> Iterator[Rollbook]:
    with Rollbook(database_url=delivery_store.url, broker_url=broker_url, registry=str(registry_path)) as rb:
        yield rb


def send_to(worker: DeliveryStore, *ids: str) -> Job:
    """Let a worker make a mail for each of the users."""
    now = worker.now()
    trigger = jobs.Trigger(
        id=f"trigger-{now}",
        occurred_at=now,
        workflow="hello",
        recipients=tuple(user(id_, email=f"{id_}@example.com") for id_ in ids),
        actor=None,
        channels=MAIL,
    )
    worker.apply(trigger)
    return trigger


def states(worker: DeliveryStore) -> list[str]:
    return [state for state, _ in worker.states().values()]


def test_a_sender_hands_over_one_after_the_other(worker: DeliveryStore, sender: Rollbook) -> None:
    send_to(worker, "ann", "bo", "cy")
    addresses = []

    for delivery in sender.deliveries.claim_each("mail", limit=2, idle=0):
        with sender.deliveries.attempt(delivery):
            addresses.append(delivery.address)

    assert sorted(str(address) for address in addresses) == ["ann@example.com", "bo@example.com", "cy@example.com"]
    assert states(worker) == ["sent"] * 3


def test_what_a_sender_raises_is_reported(
    worker: DeliveryStore, sender: Rollbook, caplog: pytest.LogCaptureFixture
) -> None:
    send_to(worker, "ann", "bo", "cy")
    errors = {
        "ann": DeliveryFailed("mailbox is full", retry_after=60),
        "bo": DeliveryFailed("no such mailbox", permanent=True),
        "cy": OSError("cy@example.com rejected"),
    }

    for delivery in sender.deliveries.claim_each("mail", idle=0):
        with sender.deliveries.attempt(delivery):
            raise errors[delivery.recipient["id"]]

    assert worker.states() == {
        "ann": ("failed", "mailbox is full"),
        "bo": ("undeliverable", "no such mailbox"),
        "cy": ("failed", "OSError"),
    }
    assert "OSError" in caplog.text
    assert "example.com" not in caplog.text


def test_what_ends_the_program_releases_all_that_was_claimed(worker: DeliveryStore, sender: Rollbook) -> None:
    send_to(worker, "ann", "bo", "cy")
    deliveries = sender.deliveries.claim_each("mail", idle=0)

    with pytest.raises(KeyboardInterrupt), sender.deliveries.attempt(next(deliveries)):
        raise KeyboardInterrupt
    deliveries.close()

    assert states(worker) == ["pending"] * 3
    assert [row["attempts"] for row in worker.rows()] == [0, 0, 0]


def test_a_lease_that_was_lost_in_the_attempt_is_logged(
    worker: DeliveryStore, sender: Rollbook, caplog: pytest.LogCaptureFixture
) -> None:
    send_to(worker, "ann")
    (delivery,) = sender.deliveries.claim("mail", lease=30)

    with sender.deliveries.attempt(delivery):
        worker.later(timedelta(seconds=30))
        (again,) = sender.deliveries.claim("mail")

    assert delivery.id in caplog.text
    sender.deliveries.sent(again)


def test_a_sender_that_waits_is_notified_by_the_worker(
    worker: DeliveryStore, sender: Rollbook, broker_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rollbook.delivery_wait.POLL_SECONDS", EVER)
    notifier = DeliveryNotifier(broker_url, lambda: worker.registry)
    found: list[bool] = []
    waiting = threading.Thread(target=lambda: found.append(sender.deliveries.wait("mail", EVER)), daemon=True)
    waiting.start()
    wait_until_subscribed(broker_url, REDIS_CHANNEL)

    notifier.notify([send_to(worker, "ann")])
    waiting.join(DEADLINE_SECONDS)

    assert found == [True]
    notifier.close()


def test_a_coroutine_that_waits_is_notified_by_the_worker(
    worker: DeliveryStore, broker_url: str, registry_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rollbook.delivery_wait.POLL_SECONDS", EVER)
    notifier = DeliveryNotifier(broker_url, lambda: worker.registry)

    async def play() -> list[str]:
        addresses = []
        async with AsyncRollbook(database_url=worker.url, broker_url=broker_url, registry=str(registry_path)) as rb:
            waiting = asyncio.create_task(rb.deliveries.wait("mail", EVER))
            await asyncio.to_thread(wait_until_subscribed, broker_url, REDIS_CHANNEL)
            await asyncio.to_thread(lambda: notifier.notify([send_to(worker, "ann", "bo")]))
            async with asyncio.timeout(DEADLINE_SECONDS):
                assert await waiting
            async with aclosing(rb.deliveries.claim_each("mail", idle=0)) as deliveries:
                async for delivery in deliveries:
                    async with rb.deliveries.attempt(delivery):
                        addresses.append(str(delivery.address))
                        if delivery.recipient["id"] == "bo":
                            raise DeliveryFailed("no", permanent=True)
        return sorted(addresses)

    assert asyncio.run(play()) == ["ann@example.com", "bo@example.com"]
    assert worker.states() == {"ann": ("sent", None), "bo": ("undeliverable", "no")}
    notifier.close()


def test_without_a_broker_the_database_is_asked(worker: DeliveryStore, registry_path: Path) -> None:
    with Rollbook(database_url=worker.url, registry=str(registry_path)) as rb:
        assert not rb.deliveries.wait("mail", 0.05)
        sending = threading.Thread(target=lambda: send_to(worker, "ann"))
        sending.start()
        assert rb.deliveries.wait("mail", DEADLINE_SECONDS)
        sending.join()


def test_the_channels_for_which_jobs_make_deliveries() -> None:
    registry = parse_registry(REGISTRY)
    of = {"id": "x", "occurred_at": 1, "workflow": "w", "recipients": ("ann",), "actor": None}
    trigger = jobs.Trigger.model_validate({**of, "channels": ("in_app", "email", "push", "chat")})

    assert delivered_channels([trigger], registry) == {"mail", "fcm"}
    assert delivered_channels([trigger], Registry()) == set()
    assert names_channel(encode_channels({"mail"}), "mail")
    assert not names_channel(encode_channels({"mail"}), "fcm")
    assert names_channel(b"?", "fcm")


def test_a_broker_that_is_away_delays_no_job(worker: DeliveryStore) -> None:
    now = [0.0]
    notifier = DeliveryNotifier("redis://127.0.0.1:1/0", lambda: worker.registry, clock=lambda: now[0])
    trigger = send_to(worker, "ann")

    begin = time.monotonic()
    notifier.notify([trigger])
    notifier.notify([trigger])

    assert time.monotonic() - begin < DEADLINE_SECONDS
