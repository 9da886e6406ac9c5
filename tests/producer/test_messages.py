"""Messages of every channel, and their engagement (rules 14, 22 and 23)."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from tests.support.producer.applied_jobs import NOW, Applied

from rollbook import InvalidRequest, Message, Page
from rollbook.testing import recording
from rollbook_shared.domain.deterministic_ids import message_id
from rollbook_shared.jobs.models import Mark

ID = "6f0d5b0e-3d5c-5f0e-9f53-6b1d1c0f7a11"


def messages(applied: Applied, *, count: int = 1, channels: tuple[str, ...] = ("in_app",)) -> list[Message]:
    """Messages of `ann`, newest first."""
    applied.rb.users.identify("ann", occurred_at=NOW - timedelta(days=9))
    for number in range(count):
        at = NOW - timedelta(days=8, seconds=number)
        applied.rb.workflows.trigger(f"w{number}", ["ann"], channels=channels, occurred_at=at)
    applied.now()
    return list(applied.rb.messages.list("ann").items)


def marks(applied: Applied) -> list[set[str]]:
    items = applied.rb.messages.list("ann").items
    return [{mark for mark in ("seen", "read", "archived") if getattr(item, mark)} for item in items]


def test_rule_22_messages_of_every_channel_are_listed_archived_or_not(applied: Applied) -> None:
    found = messages(applied, count=2, channels=("in_app", "email"))
    applied.rb.messages.mark([found[0].id], "archived")
    applied.now()

    assert len(applied.rb.messages.list("ann").items) == 4
    assert {item.channel for item in applied.rb.messages.list("ann", channel="email").items} == {"email"}
    assert [item.id for item in applied.rb.messages.list("ann", status="archived").items] == [found[0].id]
    assert len(applied.rb.messages.list("ann", status="all").items) == 3


def test_rule_22_pages_list_each_message_once(applied: Applied) -> None:
    found = messages(applied, count=3, channels=("in_app", "email", "sms"))

    pages = [applied.rb.messages.list("ann", limit=2)]
    while (after := pages[-1].after) is not None:
        pages.append(applied.rb.messages.list("ann", limit=2, after=after))

    assert [item.id for page in pages for item in page.items] == [item.id for item in found]
    assert len(found) == 9


def test_rule_22_an_unknown_user_has_no_messages(applied: Applied) -> None:
    assert applied.rb.messages.list("nobody") == Page(items=(), after=None)


def test_rule_22_seen_read_and_archived_are_independent_and_reversible(applied: Applied) -> None:
    ids = [item.id for item in messages(applied)]
    states = []
    for hour, mark in enumerate(("read", "archived", "seen", "unread", "unarchived", "unseen")):
        applied.rb.messages.mark(ids, mark, occurred_at=NOW - timedelta(hours=9 - hour))  # type: ignore[arg-type]
        applied.now()
        states.append(marks(applied)[0])

    assert states == [
        {"read"},
        {"read", "archived"},
        {"read", "archived", "seen"},
        {"archived", "seen"},
        {"seen"},
        set(),
    ]


def test_rule_22_of_an_engagement_and_its_opposite_the_last_one_counts(applied: Applied) -> None:
    ids = [item.id for item in messages(applied)]

    applied.rb.messages.mark(ids, "unread", occurred_at=NOW - timedelta(hours=1))
    applied.now()
    applied.rb.messages.mark(ids, "read", occurred_at=NOW - timedelta(hours=2))
    applied.now()

    assert marks(applied) == [set()]


def test_rule_22_engagement_may_arrive_before_its_message(applied: Applied) -> None:
    rb = applied.rb
    rb.users.identify("ann", occurred_at=NOW - timedelta(days=2))
    applied.now()
    job = rb.workflows.trigger("w", ["ann"], occurred_at=NOW - timedelta(days=1))
    trigger = applied.take(job.id)

    rb.messages.mark([message_id(job.id, "ann", "in_app")], "read")
    applied.now()
    applied.give(trigger)
    applied.now()

    assert marks(applied) == [{"read"}]


def test_rule_23_marking_again_changes_nothing(applied: Applied) -> None:
    ids = [item.id for item in messages(applied)]
    for _ in range(3):
        applied.rb.messages.mark(ids, "read", job_id="mark-1")
    applied.rb.messages.mark(ids, "read")
    applied.now()

    assert marks(applied) == [{"read"}]
    assert applied.rb.jobs.get("mark-1").state == "applied"


def test_engagement_of_an_unknown_message_does_no_harm(applied: Applied) -> None:
    job = applied.rb.messages.mark([ID], "seen")
    applied.now()

    assert job.status().state == "applied"


def test_engagement_of_many_messages_is_one_job() -> None:
    rb = recording()

    job = rb.messages.mark((id_ for id_ in (ID, UUID(int=1))), "archived", job_id="m", occurred_at=NOW)

    (sent,) = rb.sent.of(Mark)
    assert (job.kind, sent.id, sent.engagement) == ("mark", "m", "archived")
    assert sent.message_ids == (UUID(ID), UUID(int=1))


@pytest.mark.parametrize(
    ("given", "engagement", "field"),
    [
        ([], "read", "message_ids"),
        (ID, "read", "message_ids"),
        ([ID] * 1_001, "read", "message_ids"),
        ([ID, "w"], "read", "message_ids[1]"),
        ([7], "read", "message_ids[0]"),
        ([ID], "clicked", "engagement"),
        ([ID], None, "engagement"),
    ],
)
def test_rule_22_an_invalid_engagement_is_rejected_and_nothing_is_sent(
    given: object, engagement: object, field: str
) -> None:
    rb = recording()

    with pytest.raises(InvalidRequest) as refusal:
        rb.messages.mark(given, engagement)  # type: ignore[arg-type]

    assert [problem.field for problem in refusal.value.problems] == [field]
    assert rb.sent == []


def test_rule_33_a_message_is_read_by_its_id_with_its_owner(applied: Applied) -> None:
    (found,) = messages(applied)
    applied.rb.users.identify("bo", occurred_at=NOW - timedelta(days=9))
    applied.rb.users.merge("bo", "ann", occurred_at=NOW - timedelta(days=1))
    applied.now()

    message = applied.rb.messages.get(UUID(found.id))

    assert message is not None
    assert (message.id, message.recipient, message.workflow) == (found.id, "bo", "w0")
    assert applied.rb.messages.get(ID) is None


def test_rule_33_a_message_that_preferences_hide_or_no_user_owns_is_not_read(applied: Applied) -> None:
    (found,) = messages(applied)
    applied.rb.users.update_preferences(
        "ann", "default", {"workflows": {"w0": False}}, occurred_at=NOW - timedelta(days=8, hours=1)
    )
    applied.now()
    hidden = applied.rb.messages.get(found.id)
    applied.rb.users.unset_preferences("ann", "default", occurred_at=NOW - timedelta(days=8, minutes=1))
    applied.now()
    allowed = applied.rb.messages.get(found.id)
    applied.rb.users.delete("ann")
    applied.now()

    assert hidden is None
    assert allowed == found
    assert applied.rb.messages.get(found.id) is None


def test_rule_33_only_the_owner_marks(applied: Applied) -> None:
    (found,) = messages(applied)
    applied.rb.users.identify("mallory", occurred_at=NOW - timedelta(days=9))
    applied.rb.messages.mark([found.id], "archived", user_id="mallory", occurred_at=NOW - timedelta(days=2))
    applied.rb.messages.mark([found.id], "read", user_id="ann", occurred_at=NOW - timedelta(days=1))
    applied.now()

    (item,) = applied.rb.feeds.list("ann").items

    assert (item.archived, item.read, item.read_at) == (False, True, NOW - timedelta(days=1))
    assert applied.rb.messages.get(found.id) == item


def test_rule_34_all_messages_are_marked_by_one_job(applied: Applied) -> None:
    found = messages(applied, count=3, channels=("in_app", "email"))
    applied.rb.messages.mark_all("ann", "interacted", occurred_at=NOW - timedelta(days=2))
    applied.rb.messages.mark([found[0].id], "unread", user_id="ann", occurred_at=NOW - timedelta(days=1))
    applied.now()

    feed = applied.rb.feeds.list(found[0].recipient, channel=found[0].channel)

    assert (feed.total, feed.unread) == (3, 1 if found[0].channel == "in_app" else 3)
    assert len(applied.rb.feeds.list("ann", status="unread").items) == (1 if found[0].channel == "in_app" else 0)
    assert {item.interacted_at for item in applied.rb.feeds.list("ann").items} == {NOW - timedelta(days=2)}
    assert {item.interacted for item in applied.rb.messages.list("ann", channel="email").items} == {False}
