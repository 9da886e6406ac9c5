"""Rules 38 to 41: what a claim hands out, what it skips, and what a report of it does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import psycopg
import pytest
from tests.support.deliveries import MAIL, REGISTRY, DeliveryStore
from tests.support.delivery_case import MINUTE, Case

from rollbook import (
    DeliveryNotFound,
    DeliveryReport,
    InvalidRequest,
    LeaseLost,
    NotConfigured,
    Rollbook,
)
from rollbook.queries import deliveries
from rollbook_shared import jobs

pytestmark = pytest.mark.servers
LEASE = 30


def test_a_claim_has_all_that_it_takes_to_send(case: Case) -> None:
    case.identify("bo", name="Bo")
    case.apply(
        jobs.Trigger,
        workflow="hello",
        recipients=("ann",),
        channels=MAIL,
        actor="bo",
        data={"page": 7},
        tenant="acme",
        categories=("social",),
    )

    delivery = case.one(lease=LEASE)

    assert delivery.recipient == {
        "id": "ann",
        "email": "ann@example.com",
        "name": "Ann",
        "properties": {"plan": "pro"},
    }
    assert delivery.actor == {"id": "bo", "name": "Bo", "properties": {}}
    assert (delivery.channel, delivery.type, delivery.address) == ("mail", "email", "ann@example.com")
    assert (delivery.workflow, delivery.tenant, delivery.categories) == ("hello", "acme", ("social",))
    assert (delivery.data, delivery.attempt, delivery.claim) == ({"page": 7}, 1, 1)
    status = case.rb.deliveries.get(delivery.id)
    assert (status.user_id, status.state, status.attempts) == ("ann", "claimed", 1)
    assert status.due_at == delivery.lease_ends_at


def test_what_is_claimed_is_claimed_by_no_other_until_the_lease_ends(case: Case) -> None:
    case.trigger("ann")

    first = case.one(lease=LEASE)
    assert case.claim() == []
    case.worker.later(timedelta(seconds=LEASE))
    second = case.one()

    assert (second.id, second.attempt, second.claim) == (first.id, 2, 2)
    with pytest.raises(LeaseLost):
        case.rb.deliveries.sent(first)
    case.rb.deliveries.sent(second)


def test_what_was_sent_is_never_claimed_again(case: Case) -> None:
    case.trigger("ann")
    delivery = case.one()

    case.rb.deliveries.sent(delivery)
    case.worker.later(timedelta(minutes=30))

    assert case.claim() == []
    assert case.rb.deliveries.get(delivery.id).state == "sent"
    case.rb.deliveries.sent(delivery)  # its answer was lost
    case.rb.deliveries.delivered(delivery.id)  # a receipt
    assert case.rb.deliveries.get(delivery.id).state == "delivered"


def test_a_report_that_comes_after_the_lease_counts_if_no_other_has_claimed(case: Case) -> None:
    case.trigger("ann")
    delivery = case.one(lease=LEASE)
    case.worker.later(timedelta(seconds=LEASE))

    with pytest.raises(LeaseLost):
        case.rb.deliveries.sent(delivery.id)  # of the last claim, whose lease is over
    case.rb.deliveries.sent(delivery)

    assert case.rb.deliveries.get(delivery.id).state == "sent"


def test_a_failed_delivery_is_tried_again_after_a_growing_delay(case: Case) -> None:
    case.trigger("ann")
    for attempt, (least, most) in enumerate([(2.5, 5), (5, 10), (10, 20)], start=1):
        delivery = case.one()
        assert delivery.attempt == attempt
        case.rb.deliveries.failed(delivery, "mailbox is full")
        status = case.rb.deliveries.get(delivery.id)
        assert (status.state, status.reason) == ("failed", "mailbox is full")
        assert status.due_at is not None
        assert least <= (status.due_at - status.changed_at).total_seconds() <= most
        assert case.claim() == []
        case.worker.later(timedelta(seconds=most))


def test_a_sender_says_when_to_try_again(case: Case) -> None:
    case.trigger("ann")
    case.rb.deliveries.failed(case.one(), "slow down", retry_after=120)

    case.worker.later(timedelta(seconds=119))
    assert case.claim() == []
    case.worker.later(timedelta(seconds=1))
    assert case.one().attempt == 2


def test_after_the_last_attempt_it_is_undeliverable(case: Case) -> None:
    case.use(REGISTRY.replace('type = "email"', 'type = "email"\nattempts = 2'))
    case.trigger("ann")
    case.rb.deliveries.failed(case.one(), "once")
    case.worker.later(timedelta(seconds=5))
    case.rb.deliveries.failed(case.one(), "twice")

    assert case.worker.states() == {"ann": ("undeliverable", "twice")}
    assert case.claim() == []


def test_a_delivery_that_kills_its_senders_is_given_up(case: Case) -> None:
    case.use(REGISTRY.replace('type = "email"', 'type = "email"\nattempts = 2'))
    case.trigger("ann")
    for _ in range(2):
        case.one(lease=LEASE)
        case.worker.later(timedelta(seconds=LEASE))

    assert case.claim() == []
    assert case.worker.states() == {"ann": ("undeliverable", "no report of the last attempt")}


def test_a_permanent_failure_is_the_end_also_of_what_was_sent(case: Case) -> None:
    case.trigger("ann")
    delivery = case.one()
    case.rb.deliveries.sent(delivery)

    with pytest.raises(LeaseLost):
        case.rb.deliveries.failed(delivery.id, "bounced")  # it would be sent twice
    case.rb.deliveries.failed(delivery.id, "bounced", permanent=True)

    assert case.worker.states() == {"ann": ("undeliverable", "bounced")}


def test_a_released_delivery_is_claimed_again_and_its_attempt_is_not_counted(case: Case) -> None:
    case.trigger("ann")
    first = case.one()
    case.rb.deliveries.release(first)

    second = case.one()

    assert (second.attempt, second.claim) == (1, 2)
    with pytest.raises(LeaseLost):
        case.rb.deliveries.sent(first)


def test_many_reports_at_once_say_which_do_not_count(case: Case) -> None:
    case.identify("bo", email="bo@example.com")
    case.trigger("ann", "bo")
    ann, bo = case.claim()
    unknown = "00000000-0000-0000-0000-000000000000"

    lost = case.rb.deliveries.report(
        [
            DeliveryReport(id=ann.id, claim=ann.claim, outcome="sent"),
            DeliveryReport(id=bo.id, claim=bo.claim + 1, outcome="sent"),
            DeliveryReport(id=unknown, outcome="sent"),
        ]
    )

    assert lost == (bo.id, unknown)
    assert sorted(state for state, _ in case.worker.states().values()) == ["claimed", "sent"]
    with pytest.raises(DeliveryNotFound):
        case.rb.deliveries.sent(unknown)


def skipped(case: Case) -> str | None:
    assert case.claim() == []
    ((state, reason),) = case.worker.states().values()
    return reason if state == "skipped" else state


def test_what_is_too_old_is_skipped(case: Case) -> None:
    case.trigger("ann", minutes_ago=30)
    case.worker.later(timedelta(minutes=31))

    assert skipped(case) == "too old"


def test_a_user_without_an_address_is_skipped(case: Case) -> None:
    case.identify("ann", minutes_ago=2, email=None)
    case.trigger("ann")

    assert skipped(case) == "no address"


def test_the_address_may_be_a_property(case: Case) -> None:
    case.use(REGISTRY.replace('type = "email"', 'type = "email"\nneeds = "work_email"'))
    case.identify("ann", minutes_ago=2, work_email="")
    case.trigger("ann")
    assert skipped(case) == "no address"

    case.identify("ann", minutes_ago=0, work_email="ann@work.example.com")

    assert case.one().address == "ann@work.example.com"


def test_preferences_count_as_they_were_when_the_trigger_happened(case: Case) -> None:
    opt_out = {"set_id": "default", "user_id": "ann", "settings": {"channel_types": {"email": False}}}
    case.trigger("ann", minutes_ago=10)
    case.apply(jobs.SetPreferences, 5, **opt_out)
    case.trigger("ann", minutes_ago=1)

    assert case.one().occurred_at.timestamp() == pytest.approx((case.now - 10 * MINUTE) / 1e6)
    assert sorted(row["reason"] or "" for row in case.worker.rows()) == ["", "opted out"]


def test_the_recipient_is_the_owner_now(case: Case) -> None:
    case.identify("guest", email="guest@example.com")
    case.trigger("guest", minutes_ago=10)
    case.apply(jobs.Merge, 5, primary_id="ann", secondary_id="guest")
    case.identify("ann", minutes_ago=2, email="new@example.com")

    delivery = case.one()

    assert (delivery.recipient["id"], delivery.address) == ("ann", "new@example.com")


def test_a_deleted_user_is_skipped(case: Case) -> None:
    case.trigger("ann", minutes_ago=5)
    case.worker.without_registry()  # as if the delete came first: nothing is cancelled
    case.apply(jobs.Delete, 1, user_id="ann")

    assert skipped(case) == "user deleted"


def test_a_recipient_who_is_not_known_yet_is_looked_at_again(case: Case) -> None:
    case.trigger("late", minutes_ago=5)
    assert case.claim() == []
    assert case.worker.states() == {"late": ("pending", "unknown recipient")}

    case.identify("late", minutes_ago=6, email="late@example.com")
    case.worker.later(timedelta(seconds=2))

    assert case.one().address == "late@example.com"


def test_a_recipient_who_stays_unknown_is_skipped_in_the_end(case: Case) -> None:
    case.trigger("late", minutes_ago=5)
    assert case.claim() == []
    case.worker.later(timedelta(minutes=56))

    assert skipped(case) == "unknown recipient"


@pytest.mark.parametrize("how", ["marked", "all marked"])
def test_a_quiet_channel_skips_what_was_seen_in_the_feed(case: Case, how: str) -> None:
    case.use(REGISTRY.replace('type = "email"', 'type = "email"\nskip_seen = true'))
    case.trigger("ann", channels=("in_app", "email"), minutes_ago=3)
    case.trigger("ann", channels=("in_app", "email"), workflow="other", minutes_ago=0.5)
    seen = case.rb.feeds.list("ann").items[1].id
    if how == "marked":
        case.apply(jobs.Mark, 1, message_ids=(seen,), engagement="read", user_id="ann")
    else:
        case.apply(jobs.MarkAll, 1, user_id="ann", engagement="seen", channel="in_app")

    assert case.one().workflow == "other"
    assert sorted(row["reason"] or "" for row in case.worker.rows()) == ["", "seen already"]


def test_other_channels_do_not_ask_what_was_seen(case: Case) -> None:
    case.trigger("ann", channels=("in_app", "email"), minutes_ago=3)
    case.apply(jobs.MarkAll, 1, user_id="ann", engagement="seen", channel="in_app")

    assert case.one().workflow == "hello"


def test_a_push_channel_gives_the_tokens_of_now(case: Case) -> None:
    case.trigger("ann", channels=("push",))
    assert case.claim("fcm") == []
    assert case.worker.states() == {"ann": ("skipped", "no address")}

    device = {"locale": "ko-KR", "timezone": None}
    case.apply(jobs.AddPushToken, 2, user_id="ann", channel_id="fcm", token="one", device=device)
    case.apply(jobs.AddPushToken, 1, user_id="ann", channel_id="fcm", token="two", device=None)
    (delivery,) = case.claim("fcm")

    assert delivery.tokens == ("one", "two")
    assert delivery.channel_data == {"tokens": ["one", "two"], "devices": [{"token": "one", **device}]}


def test_a_token_is_used_for_the_last_user_who_sent_it(case: Case) -> None:
    device = {"locale": "ko-KR", "timezone": None}
    for user_id, token, minutes_ago in (("ann", "phone", 9), ("ann", "tablet", 8), ("bo", "phone", 7)):
        sent = {"user_id": user_id, "channel_id": "fcm", "token": token, "device": device}
        case.apply(jobs.AddPushToken, minutes_ago, **sent)
    case.trigger("ann", "bo", channels=("push",))

    ann, bo = sorted(case.claim("fcm"), key=lambda delivery: str(delivery.recipient["id"]))

    assert (ann.tokens, bo.tokens) == (("tablet",), ("phone",))
    assert ann.channel_data == {"tokens": ["tablet"], "devices": [{"token": "tablet", **device}]}
    assert bo.channel_data == {"tokens": ["phone"], "devices": [{"token": "phone", **device}]}


def test_a_user_whose_only_token_another_user_has_sent_since_has_no_address(case: Case) -> None:
    case.apply(jobs.AddPushToken, 9, user_id="ann", channel_id="fcm", token="phone", device=None)
    case.apply(jobs.SetChannelData, 8, user_id="bo", channel_id="fcm", data={"tokens": ["phone"]})
    case.apply(jobs.RemovePushToken, 7, user_id="bo", channel_id="fcm", token="phone")  # bo has logged out
    case.trigger("ann", channels=("push",), minutes_ago=6)
    assert case.claim("fcm") == []
    assert case.worker.states() == {"ann": ("skipped", "no address")}

    case.apply(jobs.AddPushToken, 2, user_id="ann", channel_id="fcm", token="phone", device=None)

    assert [delivery.tokens for delivery in case.claim("fcm")] == [("phone",)]


def test_others_are_claimed_in_place_of_what_is_skipped(case: Case) -> None:
    strangers = [f"stranger-{number}" for number in range(30)]
    for stranger in strangers:
        case.identify(stranger)
    case.trigger(*strangers, minutes_ago=5)
    case.trigger("ann", minutes_ago=1)

    assert [delivery.recipient["id"] for delivery in case.claim(limit=2)] == ["ann"]


def test_workflows_share_a_claim_and_a_higher_priority_comes_first(case: Case) -> None:
    case.use(
        REGISTRY + '[workflows.reset]\nchannels = ["mail"]\npriority = "high"\n[workflows.news]\n[workflows.hello]'
    )
    readers = [f"reader-{number}" for number in range(20)]
    for reader in readers:
        case.identify(reader, email=f"{reader}@example.com")
    case.trigger(*readers, workflow="news", minutes_ago=9)
    case.trigger("ann", workflow="hello", minutes_ago=5)
    case.trigger("ann", workflow="hello", minutes_ago=4)
    case.trigger("ann", workflow="reset", minutes_ago=2)
    case.trigger("ann", workflow="reset", minutes_ago=1)

    claimed = [sorted(delivery.workflow for delivery in case.claim(limit=2)) for _ in range(4)]

    assert claimed == [["reset", "reset"], ["hello", "news"], ["hello", "news"], ["news", "news"]]


def test_a_rate_bounds_what_all_senders_claim(case: Case) -> None:
    case.use(REGISTRY.replace('type = "email"', 'type = "email"\nper_second = 2'))
    for number in range(5):
        case.trigger("ann", workflow=f"w{number}")

    assert [len(case.claim()), len(case.claim())] == [2, 0]
    case.worker.connection.execute("UPDATE rollbook.delivery_rates SET refilled_at = refilled_at - interval '0.5 s'")
    assert [len(case.claim()), len(case.claim())] == [1, 0]
    case.worker.connection.execute("UPDATE rollbook.delivery_rates SET refilled_at = refilled_at - interval '1 h'")
    assert len(case.claim()) == 2


def test_cancel_and_retry(case: Case) -> None:
    case.trigger("ann")
    (row,) = case.worker.rows()
    id_ = str(row["message_id"])

    assert case.rb.deliveries.cancel(id_)
    assert not case.rb.deliveries.cancel(id_)
    assert case.claim() == []
    assert case.rb.deliveries.retry(id_)
    assert not case.rb.deliveries.retry(id_)
    delivery = case.one()
    assert not case.rb.deliveries.cancel(delivery)  # a sender has it
    case.rb.deliveries.failed(delivery, "no", permanent=True)
    case.worker.later(timedelta(hours=2))
    assert case.rb.deliveries.retry(id_)
    delivery = case.one()
    assert delivery.attempt == 1
    case.rb.deliveries.sent(delivery)
    assert not case.rb.deliveries.retry(id_)


def test_the_deliveries_of_a_user_are_listed_page_by_page(case: Case) -> None:
    case.identify("guest", email="guest@example.com")
    case.trigger("guest", minutes_ago=9, workflow="first")
    case.apply(jobs.Merge, 5, primary_id="ann", secondary_id="guest")
    case.trigger("ann", minutes_ago=4, workflow="second")
    case.trigger("ann", minutes_ago=3, workflow="third")
    case.trigger("bo", minutes_ago=3, workflow="other")

    newest = case.rb.deliveries.list(user_id="ann", limit=2)
    rest = case.rb.deliveries.list(user_id="ann", limit=2, after=newest.after)

    assert [each.workflow for each in (*newest.items, *rest.items)] == ["third", "second", "first"]
    assert rest.after is None
    assert case.rb.deliveries.list(user_id="ann", state="sent").items == ()


@pytest.mark.parametrize("done", [True, False])
def test_the_deliveries_in_a_state_are_listed_page_by_page(case: Case, done: bool) -> None:
    for number in range(3):
        case.trigger("ann", workflow=f"w{number}")
    if done:
        for delivery in case.claim():
            case.rb.deliveries.sent(delivery)
    state = "sent" if done else "pending"

    newest = case.rb.deliveries.list(state=state, limit=2)
    rest = case.rb.deliveries.list(state=state, limit=2, after=newest.after)

    times = [each.changed_at for each in (*newest.items, *rest.items)]
    assert len({each.workflow for each in (*newest.items, *rest.items)}) == 3
    assert times == sorted(times, reverse=True)
    assert rest.after is None
    assert case.rb.deliveries.list(state=state, channel="fcm").items == ()


def test_a_page_looks_at_a_bounded_number_of_deliveries(
    case: Case, worker: DeliveryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for workflow in ("oldest", *(f"w{number}" for number in range(5))):
        case.trigger("ann", workflow=workflow)
        for delivery in case.claim():
            case.rb.deliveries.sent(delivery)
    with psycopg.connect(worker.url) as connection:
        connection.execute("UPDATE rollbook.deliveries SET channel = 'rare' WHERE workflow = 'oldest'")
    monkeypatch.setattr(deliveries, "MAX_SCANNED", 2)
    pages: list[list[str]] = []
    after = None

    while after is not None or not pages:
        page = case.rb.deliveries.list(state="sent", channel="rare", limit=2, after=after)
        pages.append([each.workflow for each in page.items])
        after = page.after

    assert pages == [[], ["oldest"], []]


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda rb: rb.deliveries.claim("slack"), "channel"),
        (lambda rb: rb.deliveries.claim("nothing"), "channel"),
        (lambda rb: rb.deliveries.claim("mail", limit=0), "limit"),
        (lambda rb: rb.deliveries.claim("mail", lease=0), "lease"),
        (lambda rb: rb.deliveries.sent("x"), "delivery"),
        (lambda rb: rb.deliveries.failed("0" * 32, ""), "reason"),
        (lambda rb: rb.deliveries.failed("0" * 32, "x\x00"), "reason"),
        (lambda rb: rb.deliveries.failed("0" * 32, "x", retry_after=-1), "retry_after"),
        (lambda rb: rb.deliveries.list(), "state"),
        (lambda rb: rb.deliveries.list(state="gone"), "state"),
        (lambda rb: rb.deliveries.list(state="sent", after="x"), "after"),
        (lambda rb: rb.deliveries.report([]), "reports"),
        (lambda rb: rb.deliveries.report([DeliveryReport(id="x", outcome="sent")]), "reports[0].delivery"),
    ],
)
def test_an_invalid_argument_is_named(sender: Rollbook, call: Callable[[Rollbook], object], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        call(sender)

    assert [problem.field for problem in caught.value.problems] == [field]


def test_without_a_registry_nothing_can_be_claimed(delivery_store: DeliveryStore) -> None:
    with Rollbook(database_url=delivery_store.url) as rb, pytest.raises(NotConfigured, match="ROLLBOOK_REGISTRY"):
        rb.deliveries.claim("mail")
