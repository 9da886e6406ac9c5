"""Feeds and lists of messages are filtered by what their triggers say, and read on from either side of a message."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.support.producer.applied_jobs import NOW, Applied

from rollbook import Feed, InvalidRequest, MessageFilter

HOUR = timedelta(hours=1)


@pytest.fixture
def triggered(applied: Applied) -> Applied:
    """Ann has three messages: `c` is the newest."""
    rb = applied.rb
    rb.users.identify("ann", occurred_at=NOW - 9 * HOUR)
    rb.workflows.trigger("a", ["ann"], data={"page": 1, "tags": ["x", "y"]}, occurred_at=NOW - 3 * HOUR, job_id="j-a")
    rb.workflows.trigger(
        "b", ["ann"], tenant="acme", categories=["social", "team"], occurred_at=NOW - 2 * HOUR, job_id="j-b"
    )
    rb.workflows.trigger("c", ["ann"], tenant="other", data={"page": 2}, occurred_at=NOW - HOUR, job_id="j-c")
    applied.now()
    return applied


def shown(feed: Feed) -> str:
    return "".join(item.workflow for item in feed.items)


@pytest.mark.parametrize(
    ("where", "wanted"),
    [
        ({}, "cba"),
        ({"workflow": "b"}, "b"),
        ({"workflow": "unknown"}, ""),
        ({"tenant": "acme"}, "b"),
        ({"has_tenant": True}, "cb"),
        ({"has_tenant": False}, "a"),
        ({"categories": ["team", "unknown"]}, "b"),
        ({"data": {"page": 2}}, "c"),
        ({"data": {"tags": ["y"]}}, "a"),
        ({"data": {}}, "cba"),
        ({"job_id": "j-c"}, "c"),
        ({"since": NOW - 2 * HOUR}, "cb"),
        ({"until": NOW - 2 * HOUR}, "a"),
        ({"has_tenant": True, "until": NOW - HOUR}, "b"),
    ],
)
def test_a_feed_and_its_counts_hold_what_matches(triggered: Applied, where: dict[str, Any], wanted: str) -> None:
    feed = triggered.rb.feeds.list("ann", where=MessageFilter(**where))

    assert shown(feed) == wanted
    assert (feed.total, feed.unseen, feed.unread) == (len(wanted),) * 3
    messages = triggered.rb.messages.list("ann", where=MessageFilter(**where)).items
    assert "".join(item.workflow for item in messages) == wanted


def test_a_message_has_its_trigger_and_its_categories(triggered: Applied) -> None:
    message = triggered.rb.feeds.list("ann").items[1]

    assert (message.job_id, message.categories) == ("j-b", ("social", "team"))
    assert triggered.rb.messages.get(message.id) == message


def test_many_messages_are_read_by_their_ids_in_the_order_asked_for(triggered: Applied) -> None:
    newest, middle, oldest = triggered.rb.feeds.list("ann").items

    found = triggered.rb.messages.get_many([oldest.id, "00000000-0000-5000-8000-000000000000", newest.id, oldest.id])

    assert found == (oldest, newest)
    assert triggered.rb.messages.get_many([middle.id]) == (middle,)


@pytest.mark.parametrize("ids", [[], "x", ["x"], [None], 1001 * ["00000000-0000-5000-8000-000000000000"]])
def test_ids_that_no_messages_can_have_are_rejected(triggered: Applied, ids: Any) -> None:
    with pytest.raises(InvalidRequest, match="message_ids"):
        triggered.rb.messages.get_many(ids)


def test_a_feed_is_read_on_from_either_side_of_a_message(triggered: Applied) -> None:
    feed = triggered.rb.feeds.list("ann")
    newest, middle, oldest = feed.items

    assert shown(triggered.rb.feeds.list("ann", after=middle.cursor)) == "a"
    assert shown(triggered.rb.feeds.list("ann", before=middle.cursor)) == "c"
    assert shown(triggered.rb.feeds.list("ann", after=newest.cursor, before=oldest.cursor)) == "b"
    assert shown(triggered.rb.feeds.list("ann", before=newest.cursor)) == ""
    assert triggered.rb.feeds.list("ann", limit=2).after == middle.cursor


@pytest.mark.parametrize(
    ("archived", "status", "wanted"),
    [
        (None, "all", "ca"),
        ("include", "all", "cba"),
        ("only", "all", "b"),
        ("include", "unseen", "cb"),
        ("include", "seen", "a"),
        (None, "archived", "b"),
    ],
)
def test_archived_messages_are_left_out_included_or_alone(
    triggered: Applied, archived: Any, status: Any, wanted: str
) -> None:
    _, middle, oldest = triggered.rb.feeds.list("ann").items
    triggered.rb.messages.mark([middle.id], "archived")
    triggered.rb.messages.mark([oldest.id], "seen")
    triggered.now()

    assert shown(triggered.rb.feeds.list("ann", archived=archived, status=status)) == wanted


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"where": {"workflow": "a"}}, "where"),
        ({"where": MessageFilter(workflow=1)}, "where.workflow"),  # type: ignore[arg-type]
        ({"where": MessageFilter(categories="social")}, "where.categories"),
        ({"where": MessageFilter(has_tenant="yes")}, "where.has_tenant"),  # type: ignore[arg-type]
        ({"where": MessageFilter(data=[])}, "where.data"),  # type: ignore[arg-type]
        ({"where": MessageFilter(data={"a": "\0"})}, "where.data.a"),
        ({"where": MessageFilter(since=NOW.replace(tzinfo=None))}, "where.since"),
        ({"before": "x"}, "before"),
        ({"archived": "yes"}, "archived"),
    ],
)
def test_what_is_no_filter_is_rejected_by_its_field(triggered: Applied, arguments: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        triggered.rb.feeds.list("ann", **arguments)

    assert [problem.field for problem in caught.value.problems] == [field]
