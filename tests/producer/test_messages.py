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
    told = []
    for hour, mark in enumerate(("read", "archived", "seen", "unread", "unarchived", "unseen")):
        applied.rb.messages.mark(ids, mark, occurred_at=NOW - timedelta(hours=9 - hour))  # type: ignore[arg-type]
        applied.now()
        told.append(marks(applied)[0])

    assert told == [
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
