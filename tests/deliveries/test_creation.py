"""Rules 38, 39 and 43: each message on a channel that is delivered gets one delivery, when the message is made."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.support.builders import day, delete, identify, merge, trigger
from tests.support.deliveries import MAIL, REGISTRY, DeliveryStore
from tests.support.stores import OnPostgres
from tests.support.table_contents import tables_with

from rollbook import Rollbook
from rollbook_shared.domain.deterministic_ids import message_id
from rollbook_shared.registry import parse_registry

pytestmark = pytest.mark.servers
NOON = day(2)
"""When the messages of these tests are made."""


def test_a_message_on_a_delivered_channel_gets_one_delivery(worker: DeliveryStore) -> None:
    channels = ("in_app", "email", "push", "chat", "fax")
    hello = trigger("hello", ["ann"], at=2, channels=channels)
    worker.apply(identify("ann", at=1), hello, now=NOON)

    fcm, mail = worker.rows()
    assert (fcm["channel"], mail["channel"]) == ("fcm", "mail")
    assert mail["message_id"] == message_id(hello.id, "ann", "email")
    assert (mail["state"], mail["workflow"], mail["priority"]) == ("pending", "hello", 1)
    assert mail["expires_at"] - mail["created_at"] == timedelta(hours=1)
    assert mail["due_at"] == mail["created_at"]


def test_a_trigger_that_is_delivered_twice_or_applied_again_makes_no_more(worker: DeliveryStore) -> None:
    hello = trigger("hello", ["ann"], at=2, channels=MAIL)
    worker.apply(identify("ann", at=1), hello, hello, now=NOON)
    worker.apply(hello, now=NOON)
    worker.connection.execute("UPDATE rollbook.deliveries SET state = 'sent', due_at = NULL")
    worker.connection.execute("DELETE FROM rollbook.jobs")
    worker.apply(hello, now=NOON)

    assert worker.states() == {"ann": ("sent", None)}


def test_a_message_that_was_made_before_its_channel_was_delivered_gets_none(worker: DeliveryStore) -> None:
    hello = trigger("hello", ["ann"], at=2, channels=MAIL)
    worker.without_registry()
    worker.apply(identify("ann", at=1), hello, now=NOON)
    worker.registry = parse_registry(REGISTRY)
    worker.connection.execute("DELETE FROM rollbook.jobs")
    worker.apply(hello, now=NOON)

    assert worker.rows() == []


def test_a_recipient_who_is_not_known_yet_gets_one_too(worker: DeliveryStore) -> None:
    worker.apply(trigger("hello", ["ann"], at=2, channels=MAIL), now=NOON)

    assert worker.states() == {"ann": ("pending", None)}


def test_a_merge_makes_none(worker: DeliveryStore) -> None:
    worker.apply(identify("ann", at=1), identify("guest", at=1), now=NOON)
    worker.apply(trigger("hello", ["guest"], at=2, channels=MAIL), now=NOON)
    worker.apply(merge("ann", "guest", at=2, plus=1), now=NOON + 1)

    assert worker.states() == {"guest": ("pending", None)}


@pytest.mark.parametrize(
    ("late", "state"), [(3_600_000_000, ("skipped", "too old")), (3_599_999_999, ("pending", None))]
)
def test_a_message_that_is_too_old_when_it_is_made_is_skipped_at_once(
    worker: DeliveryStore, late: int, state: tuple[str, str | None]
) -> None:
    worker.apply(trigger("hello", ["ann"], at=2, channels=MAIL), now=NOON + late)

    assert worker.states() == {"ann": state}


def test_a_delay_counts_from_the_trigger(worker: DeliveryStore) -> None:
    worker.reset(REGISTRY.replace('type = "email"', 'type = "email"\ndelay = "10m"'))
    late = trigger("late", ["bo"], at=2, channels=MAIL)
    worker.apply(late, now=NOON + 900_000_000)
    worker.apply(trigger("hello", ["ann"], at=2, channels=MAIL), now=NOON + 1_000_000)

    ann, bo = worker.rows()
    assert ann["due_at"] - ann["created_at"] == timedelta(minutes=10) - timedelta(seconds=1)
    assert bo["due_at"] == bo["created_at"]


def test_a_workflow_says_the_priority(worker: DeliveryStore) -> None:
    worker.reset(REGISTRY + '[workflows.reset]\nchannels = ["mail"]\npriority = "high"')
    worker.apply(
        trigger("reset", ["ann"], at=2, channels=MAIL), trigger("hello", ["bo"], at=2, channels=MAIL), now=NOON
    )

    assert [(row["recipient"], row["priority"]) for row in worker.rows()] == [("ann", 0), ("bo", 1)]


def test_a_deferred_trigger_makes_its_deliveries_when_it_is_due(worker: DeliveryStore) -> None:
    later = trigger("hello", ["ann"], at=3, channels=MAIL).model_copy(update={"deferred": True})
    worker.apply(later, now=NOON)
    assert worker.rows() == []

    worker.store.dispatcher.release_due(now=day(3))

    assert worker.states() == {"ann": ("pending", None)}


def test_a_delete_cancels_what_waits(worker: DeliveryStore) -> None:
    worker.apply(identify("ann", at=1), identify("bo", at=1), now=NOON)
    worker.apply(trigger("hello", ["ann", "bo"], at=2, channels=MAIL), now=NOON)
    worker.apply(delete("ann", at=2, plus=1), now=NOON + 1)

    assert worker.states() == {"ann": ("cancelled", "user deleted"), "bo": ("pending", None)}


def test_a_delete_cancels_what_waits_for_the_ids_that_were_merged_into_the_user(worker: DeliveryStore) -> None:
    worker.apply(identify("ann", at=1), identify("guest", at=1), now=NOON)
    worker.apply(trigger("hello", ["guest"], at=2, channels=MAIL), merge("ann", "guest", at=2, plus=1), now=NOON)
    worker.apply(trigger("again", ["bo"], at=2, channels=MAIL), now=NOON)
    worker.apply(delete("ann", at=2, plus=2), now=NOON + 1)

    assert worker.states() == {"bo": ("pending", None), "guest": ("cancelled", "user deleted")}


def test_a_delete_that_is_older_than_the_trigger_cancels_nothing_of_a_user_who_exists_again(
    worker: DeliveryStore,
) -> None:
    worker.apply(identify("ann", at=1), identify("ann", at=1, plus=9), now=NOON)
    worker.apply(trigger("hello", ["ann"], at=2, channels=MAIL), now=NOON)
    worker.apply(delete("ann", at=1, plus=5), now=NOON)

    assert worker.states() == {"ann": ("pending", None)}


def test_what_was_handed_over_stays_as_it_is_when_its_user_is_deleted(worker: DeliveryStore) -> None:
    worker.apply(identify("ann", at=1), trigger("hello", ["ann"], at=2, channels=MAIL), now=NOON)
    worker.connection.execute("UPDATE rollbook.deliveries SET state = 'sent', due_at = NULL")
    worker.apply(delete("ann", at=2, plus=1), now=NOON + 1)

    assert worker.states() == {"ann": ("sent", None)}


def test_the_export_of_a_user_has_what_became_of_each_message(worker: DeliveryStore) -> None:
    worker.apply(identify("ann", at=1), trigger("hello", ["ann"], at=2, channels=("in_app", *MAIL)), now=NOON)
    worker.connection.execute("UPDATE rollbook.deliveries SET reason = 'the mailbox is full'")

    with Rollbook(database_url=worker.url) as rb:
        messages = rb.users.export("ann")["messages"]

    mail, in_app = sorted(messages, key=lambda message: message["channel"])
    assert mail["delivery"] | {"state": "pending", "reason": "the mailbox is full"} == mail["delivery"]
    assert in_app["delivery"] is None


def test_erasure_leaves_nothing_of_a_delivery(worker: DeliveryStore) -> None:
    worker.apply(identify("ann", at=1), trigger("hello", ["ann"], at=2, channels=MAIL), now=NOON)
    worker.connection.execute("UPDATE rollbook.deliveries SET reason = 'ann@example.com bounced'")
    worker.apply(delete("ann", at=2, plus=1), now=NOON + 1)
    worker.store.cleanup.erase_user("ann", now=day(3))

    assert worker.rows() == []
    on_postgres = OnPostgres(worker.url)
    assert "deliveries" not in tables_with(on_postgres, "ann")
    on_postgres.close()


def test_the_deliveries_to_an_id_that_stayed_unknown_are_forgotten_with_its_messages(worker: DeliveryStore) -> None:
    worker.apply(trigger("hello", ["stranger"], at=2, channels=MAIL), now=NOON)

    worker.store.cleanup.forget_unknown_recipients(now=day(3, 1))

    assert worker.rows() == []


def test_the_deliveries_of_history_that_no_user_owns_are_erased_with_it(worker: DeliveryStore) -> None:
    worker.apply(identify("ann", at=1), identify("guest", at=1), now=NOON)
    worker.apply(trigger("hello", ["guest"], at=2, channels=MAIL), now=NOON)
    worker.apply(merge("ann", "guest", at=40), now=day(40))

    worker.store.cleanup.erase_unowned_history(now=day(42))

    assert worker.rows() == []
