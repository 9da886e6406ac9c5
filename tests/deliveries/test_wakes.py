"""Rule 39: what waits for its recipient is due at once when they can be reached, and never when it is too old."""

from __future__ import annotations

import threading
from collections.abc import Collection
from datetime import timedelta

import pytest
from tests.support.brokers import wait_until_subscribed
from tests.support.builders import day, identify, trigger, user
from tests.support.deliveries import MAIL, REGISTRY, DeliveryStore
from tests.support.delivery_case import Case
from tests.support.waits import DEADLINE_SECONDS

from rollbook import Rollbook
from rollbook_shared import jobs
from rollbook_shared.due_deliveries import REDIS_CHANNEL
from rollbook_shared.jobs.codec import encode
from rollbook_worker.due_deliveries import DeliveryNotifier
from rollbook_worker.store import PostgresStore, ReceivedJob

pytestmark = pytest.mark.servers


def test_an_identify_that_comes_late_makes_the_delivery_due_at_once(case: Case) -> None:
    case.trigger("late", minutes_ago=5)
    assert case.claim() == []

    case.identify("late", minutes_ago=6, email="late@example.com")

    assert case.one().address == "late@example.com"


def test_an_address_that_comes_after_the_message_lets_it_be_sent(case: Case) -> None:
    case.identify("bo", minutes_ago=9)
    case.trigger("bo", minutes_ago=5)
    assert case.claim() == []
    assert case.worker.states() == {"bo": ("skipped", "no address")}

    case.identify("bo", minutes_ago=1, email="bo@example.com")

    assert case.worker.states() == {"bo": ("pending", None)}
    assert case.one().address == "bo@example.com"


def test_a_token_that_comes_after_the_message_lets_it_be_sent(case: Case) -> None:
    case.trigger("ann", channels=("push",), minutes_ago=5)
    assert case.claim("fcm") == []

    case.apply(jobs.AddPushToken, 1, user_id="ann", channel_id="fcm", token="phone", device=None)

    assert [delivery.tokens for delivery in case.claim("fcm")] == [("phone",)]


def test_an_address_of_a_merged_away_id_is_the_primarys(case: Case) -> None:
    case.identify("guest", minutes_ago=9)
    case.identify("bo", minutes_ago=9)
    case.trigger("guest", minutes_ago=8)
    case.apply(jobs.Merge, 7, primary_id="bo", secondary_id="guest")
    assert case.claim() == []

    case.identify("guest", minutes_ago=1, email="bo@example.com")

    assert (case.one().recipient["id"], case.worker.states()) == ("bo", {"guest": ("claimed", None)})


def test_a_merge_that_brings_the_address_lets_the_message_be_sent(case: Case) -> None:
    case.identify("guest", minutes_ago=9)
    case.trigger("guest", minutes_ago=8)
    assert case.claim() == []

    case.apply(jobs.Merge, 1, primary_id="ann", secondary_id="guest")

    assert case.one().address == "ann@example.com"


def test_what_is_too_old_stays(case: Case) -> None:
    case.identify("bo", minutes_ago=9)
    case.trigger("bo", minutes_ago=5)
    assert case.claim() == []
    case.worker.later(timedelta(minutes=56))

    case.identify("bo", minutes_ago=1, email="bo@example.com")

    assert case.worker.states() == {"bo": ("skipped", "no address")}


def test_what_is_too_old_stays_although_another_message_is_sent(case: Case) -> None:
    case.identify("bo", minutes_ago=9)
    case.trigger("bo", workflow="old", minutes_ago=5)
    assert case.claim() == []
    case.worker.later(timedelta(minutes=56))
    case.trigger("bo", workflow="new")
    assert case.claim() == []

    case.identify("bo", minutes_ago=1, email="bo@example.com")

    assert {row["workflow"]: row["state"] for row in case.worker.rows()} == {"old": "skipped", "new": "pending"}


def test_an_identify_without_what_the_channel_needs_wakes_nothing(case: Case) -> None:
    case.identify("bo", minutes_ago=9)
    case.trigger("bo", "late", minutes_ago=5)
    assert case.claim() == []
    before = case.worker.rows()

    case.identify("bo", minutes_ago=1, phone_number="+15550100", plan="pro")
    case.identify("late", minutes_ago=1, email="late@example.com")  # no user yet when the trigger happened

    assert case.worker.rows() == before


def test_only_what_waits_for_its_recipient_is_woken(case: Case) -> None:
    opt_out = {"set_id": "default", "user_id": "ann", "settings": {"channel_types": {"email": False}}}
    case.apply(jobs.SetPreferences, 9, **opt_out)
    case.trigger("ann", minutes_ago=5)
    case.identify("bo", minutes_ago=9)
    case.trigger("bo", minutes_ago=5)
    assert case.claim() == []
    bo = next(row["message_id"] for row in case.worker.rows() if row["recipient"] == "bo")
    assert case.rb.deliveries.retry(bo)
    assert case.rb.deliveries.cancel(bo)

    case.identify("bo", minutes_ago=1, email="bo@example.com")
    case.identify("ann", minutes_ago=1, email="new@example.com")

    assert case.worker.states() == {"ann": ("skipped", "opted out"), "bo": ("cancelled", None)}


def test_a_sender_that_waits_is_notified(
    worker: DeliveryStore, sender: Rollbook, case: Case, broker_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rollbook.delivery_wait.POLL_SECONDS", 3_600)
    notifier = DeliveryNotifier(broker_url, lambda: worker.registry)
    store = PostgresStore(worker.url, registry=lambda: worker.registry, on_woken=notifier.notify_channels)
    case.trigger("late", minutes_ago=5)
    assert case.claim() == []
    found: list[bool] = []
    with Rollbook(database_url=worker.url, broker_url=broker_url, registry=str(case.path)) as rb:
        waiting = threading.Thread(target=lambda: found.append(rb.deliveries.wait("mail", 3_600)), daemon=True)
        waiting.start()
        wait_until_subscribed(broker_url, REDIS_CHANNEL)

        late = jobs.Identify(id="late", occurred_at=case.now - 360_000_000, user=user("late", email="l@example.com"))
        store.apply([ReceivedJob.of(encode(late))])
        waiting.join(DEADLINE_SECONDS)

    assert found == [True]
    store.close()
    notifier.close()


def test_a_deferred_identify_wakes_what_waits(worker: DeliveryStore) -> None:
    woken: list[Collection[str]] = []
    store = PostgresStore(worker.url, registry=lambda: worker.registry, on_woken=woken.append)
    worker.reset(REGISTRY.replace('type = "email"', 'type = "email"\nmax_age = "3650d"'))
    later = identify("ann", at=3, email="ann@example.com").model_copy(update={"deferred": True})
    for job in (identify("ann", at=1), trigger("hello", ["ann"], at=2, channels=MAIL), later):
        store.apply([ReceivedJob.of(encode(job))], now=day(2))
    worker.connection.execute(
        "UPDATE rollbook.deliveries SET state = 'skipped', reason = 'no address', due_at = NULL, waits_for = 'ann'"
    )

    store.dispatcher.release_due(now=day(3))

    assert worker.states() == {"ann": ("pending", None)}
    assert woken == [{"mail"}]
    store.close()
