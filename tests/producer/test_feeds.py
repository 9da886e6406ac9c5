"""Feeds: their messages, counts and pages (rules 8, 9, 14, 16, 19 and 22)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.support.producer.applied_jobs import NOW, Applied

from rollbook import Actor, Feed, InvalidRequest, Rollbook

DAY = timedelta(days=1)


def notify(applied: Applied, workflow: str, *recipients: Any, ago: timedelta = DAY, **arguments: Any) -> None:
    """Trigger a workflow some time ago."""
    applied.rb.workflows.trigger(workflow, recipients, occurred_at=NOW - ago, **arguments)


def know(applied: Applied, *ids: str, **traits: Any) -> None:
    for id_ in ids:
        applied.rb.users.identify(id_, traits, occurred_at=NOW - 60 * DAY)


def shown(feed: Feed) -> list[str]:
    return [item.workflow for item in feed.items]


def ids(feed: Feed) -> list[str]:
    return [item.id for item in feed.items]


def counts(feed: Feed) -> tuple[int, int, int]:
    return feed.total, feed.unseen, feed.unread


def test_rule_22_an_item_has_all_fields_of_its_message(applied: Applied) -> None:
    know(applied, "ann")
    know(applied, "bo", name="Bo", avatar="https://example.com/bo.png", email="bo@example.com")
    notify(applied, "comment", "ann", actor="bo", data={"text": "hi", "n": [1]}, tenant="acme")
    applied.now()

    (item,) = applied.rb.feeds.list("ann").items

    assert (item.workflow, item.data, item.tenant) == ("comment", {"text": "hi", "n": [1]}, "acme")
    assert (item.channel, item.recipient, item.occurred_at) == ("in_app", "ann", NOW - DAY)
    assert item.occurred_at.tzinfo is UTC
    assert (item.seen, item.read, item.archived) == (False, False, False)
    assert item.actor == Actor(id="bo", name="Bo", avatar="https://example.com/bo.png")
    assert item.actor.as_dict() == {"id": "bo", "name": "Bo", "avatar": "https://example.com/bo.png"}


def test_rule_22_a_feed_is_sorted_by_when_messages_happened(applied: Applied) -> None:
    know(applied, "ann")
    for hours in (2, 1, 3):
        notify(applied, f"{hours}h", "ann", ago=timedelta(hours=hours))
        applied.now()

    assert shown(applied.rb.feeds.list("ann")) == ["1h", "2h", "3h"]


def test_rule_22_an_unknown_user_has_an_empty_feed(applied: Applied) -> None:
    assert applied.rb.feeds.list("unknown") == Feed()


def test_rule_22_a_deleted_user_has_an_empty_feed(applied: Applied) -> None:
    know(applied, "ann")
    notify(applied, "w", "ann")
    applied.rb.users.delete("ann")
    applied.now()

    assert applied.rb.feeds.list("ann") == Feed()


def test_rule_10_a_reused_id_does_not_show_the_messages_of_its_previous_user(applied: Applied) -> None:
    know(applied, "ann")
    notify(applied, "old", "ann", ago=3 * DAY)
    applied.rb.users.delete("ann", occurred_at=NOW - 2 * DAY)
    applied.rb.users.identify("ann", occurred_at=NOW - DAY)
    notify(applied, "new", "ann", ago=timedelta(hours=1))
    applied.now()

    assert shown(applied.rb.feeds.list("ann")) == ["new"]


def test_rule_8_an_unknown_recipient_gets_no_message_and_an_inline_one_does(applied: Applied) -> None:
    notify(applied, "w", "stranger", {"id": "guest"})
    applied.now()

    assert shown(applied.rb.feeds.list("stranger")) == []
    assert shown(applied.rb.feeds.list("guest")) == ["w"]


@pytest.mark.parametrize("actor", ["deleted", "never known"])
def test_rule_9_an_unknown_actor_is_shown_as_missing(applied: Applied, actor: str) -> None:
    know(applied, "ann", "deleted")
    notify(applied, "w", "ann", actor=actor)
    applied.rb.users.delete("deleted")
    applied.now()

    (item,) = applied.rb.feeds.list("ann").items

    assert item.actor is not None
    assert item.actor.missing
    assert item.actor.as_dict() == {"id": None, "missing": True}


def test_rule_9_no_actor_is_not_a_missing_one(applied: Applied) -> None:
    know(applied, "ann")
    notify(applied, "w", "ann")
    applied.now()

    assert applied.rb.feeds.list("ann").items[0].actor is None


def test_rule_14_the_feed_of_the_primary_has_thirty_days_of_the_secondary(applied: Applied) -> None:
    know(applied, "ann", "guest")
    for days in (1, 30, 31):
        notify(applied, f"guest-{days}", "guest", ago=days * DAY)
        notify(applied, f"ann-{days}", "ann", ago=days * DAY + timedelta(hours=1))
    applied.rb.users.merge("ann", "guest", occurred_at=NOW)
    applied.now()

    feed = applied.rb.feeds.list("ann")

    assert shown(feed) == ["guest-1", "ann-1", "guest-30", "ann-30", "ann-31"]
    assert counts(feed) == (5, 5, 5)


def test_rule_14_a_merged_away_actor_is_the_primary(applied: Applied) -> None:
    know(applied, "ann", name="Ann")
    know(applied, "guest", "bo")
    notify(applied, "recent", "bo", actor="guest", ago=DAY)
    notify(applied, "old", "bo", actor="guest", ago=31 * DAY)
    applied.rb.users.merge("ann", "guest")
    applied.now()

    actors = [item.actor and item.actor.as_dict() for item in applied.rb.feeds.list("bo").items]

    assert actors == [{"id": "ann", "name": "Ann", "avatar": None}, {"id": None, "missing": True}]


def test_rule_14_a_merge_transfers_engagement(applied: Applied) -> None:
    know(applied, "ann", "guest")
    notify(applied, "w", "guest")
    applied.now()
    applied.rb.messages.mark(ids(applied.rb.feeds.list("guest")), "read")
    applied.rb.users.merge("ann", "guest")
    applied.now()

    feed = applied.rb.feeds.list("ann")

    assert [item.read for item in feed.items] == [True]
    assert counts(feed) == (1, 1, 0)


def test_rule_15_the_feed_of_a_merged_away_id_is_empty_and_names_the_primary(applied: Applied) -> None:
    know(applied, "ann", "guest")
    notify(applied, "w", "guest")
    applied.rb.users.merge("ann", "guest")
    applied.now()

    assert applied.rb.feeds.list("guest") == Feed(merged_into="ann")
    assert applied.rb.feeds.list("ann").merged_into is None


def test_rule_16_messages_to_a_merged_away_id_are_in_the_feed_of_the_primary(applied: Applied) -> None:
    know(applied, "ann", "guest")
    applied.rb.users.merge("ann", "guest", occurred_at=NOW - 2 * DAY)
    notify(applied, "later", "guest", ago=DAY)
    applied.now()

    assert shown(applied.rb.feeds.list("ann")) == ["later"]


def test_rule_19_messages_that_preferences_hide_are_neither_shown_nor_counted(applied: Applied) -> None:
    know(applied, "ann")
    applied.rb.users.set_preferences("ann", "default", {"workflows": {"ads": False}}, occurred_at=NOW - 2 * DAY)
    notify(applied, "ads", "ann")
    notify(applied, "news", "ann")
    applied.rb.users.set_preferences("ann", "default", {"workflows": {"news": False}})
    applied.now()

    feed = applied.rb.feeds.list("ann")

    assert (shown(feed), counts(feed)) == (["news"], (1, 1, 1))
    assert [item.workflow for item in applied.rb.messages.list("ann").items] == ["news"]


def test_rule_21_a_recipient_named_twice_has_one_message_per_channel(applied: Applied) -> None:
    know(applied, "ann")
    notify(applied, "w", "ann", "ann", channels=("in_app", "email", "email"))
    applied.now()

    assert shown(applied.rb.feeds.list("ann")) == ["w"]
    assert [item.channel for item in applied.rb.feeds.list("ann", channel="email").items] == ["email"]
    assert sorted(item.channel for item in applied.rb.messages.list("ann").items) == ["email", "in_app"]


def test_rule_22_new_messages_do_not_shift_the_pages(applied: Applied) -> None:
    know(applied, "ann", "guest")
    # in one job: the messages of both ids have one stamp
    for number in range(4):
        notify(applied, f"w{number}", "ann", "guest", ago=timedelta(hours=9 - number))
    applied.rb.users.merge("ann", "guest")
    applied.now()
    first = applied.rb.feeds.list("ann", limit=3)
    notify(applied, "newer", "ann", ago=timedelta(hours=1))
    applied.now()

    pages = [first]
    while (after := pages[-1].after) is not None:
        pages.append(applied.rb.feeds.list("ann", limit=3, after=after))

    assert [shown(page) for page in pages] == [["w3", "w3", "w2"], ["w2", "w1", "w1"], ["w0", "w0"]]
    assert len({id_ for page in pages for id_ in ids(page)}) == 8
    assert [page.total for page in pages] == [8, 9, 9]


def test_rule_22_a_page_that_is_just_full_is_the_last(applied: Applied) -> None:
    know(applied, "ann")
    notify(applied, "a", "ann")
    notify(applied, "b", "ann")
    applied.now()

    assert applied.rb.feeds.list("ann", limit=2).after is None
    assert applied.rb.feeds.list("ann", limit=1).after is not None


def test_rule_22_each_status_shows_its_messages_and_the_counts_cover_the_whole_feed(applied: Applied) -> None:
    know(applied, "ann")
    for number, name in enumerate(("new", "seen", "read", "archived")):
        notify(applied, name, "ann", ago=timedelta(hours=number + 1))
    applied.now()
    for item in applied.rb.feeds.list("ann").items:
        if item.workflow != "new":
            applied.rb.messages.mark([item.id], item.workflow)  # type: ignore[arg-type]
    applied.now()

    feeds = {status: applied.rb.feeds.list("ann", status=status) for status in ("all", "unseen", "unread", "archived")}

    assert {status: shown(feed) for status, feed in feeds.items()} == {
        "all": ["new", "seen", "read"],
        "unseen": ["new", "read"],
        "unread": ["new", "seen"],
        "archived": ["archived"],
    }
    assert {counts(feed) for feed in feeds.values()} == {(3, 2, 2)}


def test_rule_22_a_bell_counts_the_newest_messages_and_says_whether_there_are_more(applied: Applied) -> None:
    know(applied, "ann")
    for number in range(5):
        notify(applied, f"w{number}", "ann", ago=timedelta(hours=number + 1))
    applied.now()

    newest = applied.rb.feeds.list("ann", count_newest=3)
    every = applied.rb.feeds.list("ann", count_newest=5)

    assert (counts(newest), newest.counts_are_exact, len(newest.items)) == ((3, 3, 3), False, 5)
    assert (counts(every), every.counts_are_exact) == ((5, 5, 5), True)
    unknown = applied.rb.feeds.list("unknown", count_newest=1)
    assert (counts(unknown), unknown.counts_are_exact) == ((0, 0, 0), True)


@pytest.mark.parametrize(
    ("argument", "asked"),
    [
        ("user_id", {"user_id": "a/b"}),
        ("user_id", {"user_id": ""}),
        ("status", {"status": "new"}),
        ("status", {"status": None}),
        ("limit", {"limit": 0}),
        ("limit", {"limit": 1_001}),
        ("limit", {"limit": True}),
        ("channel", {"channel": ""}),
        ("channel", {"channel": None}),
        ("channel", {"channel": "\x00"}),
        ("after", {"after": "ann"}),
        ("after", {"after": "\ud800"}),
        ("after", {"after": "ä"}),
        ("after", {"after": 7}),
        ("after", {"after": ""}),
    ],
)
def test_rule_22_an_invalid_argument_is_rejected_by_name(argument: str, asked: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        Rollbook(database_url="postgresql://unknown@127.0.0.1:1/none").feeds.list(**{"user_id": "ann", **asked})

    assert [problem.field for problem in refusal.value.problems] == [argument]


def test_the_time_of_an_item_is_exact(applied: Applied) -> None:
    know(applied, "ann")
    at = datetime(2026, 11, 1, 2, 30, 0, 123457, tzinfo=UTC)
    applied.rb.workflows.trigger("w", ["ann"], occurred_at=at)
    applied.now()

    assert applied.rb.feeds.list("ann").items[0].occurred_at == at
