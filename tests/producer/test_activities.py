"""Activities of users as recipients and as actors (rules 8, 9, 14 and 19)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.support.producer.applied_jobs import NOW, Applied

from rollbook import Activity, InvalidRequest, Page, Rollbook

HOUR = timedelta(hours=1)


def send_jobs(applied: Applied) -> None:
    """`ann` and a guest did things for `bo` and `cy`, and `bo` for `ann`."""
    rb = applied.rb
    for id_ in ("ann", "bo", "cy", "guest"):
        rb.users.identify(id_, {"name": id_.title()}, occurred_at=NOW - timedelta(days=60))
    rb.workflows.trigger("old", ["bo"], actor="guest", occurred_at=NOW - timedelta(days=31))
    rb.workflows.trigger("first", ["bo", "cy"], actor="ann", data={"n": 1}, tenant="t", occurred_at=NOW - 4 * HOUR)
    rb.workflows.trigger("second", ["bo"], actor="guest", occurred_at=NOW - 3 * HOUR)
    rb.workflows.trigger("back", ["ann"], actor="bo", occurred_at=NOW - 2 * HOUR)
    applied.now()


def lines(page: Page[Activity]) -> list[tuple[str, str, str | None]]:
    return [(item.workflow, item.recipient, item.actor.id if item.actor else None) for item in page.items]


def test_an_activity_has_the_trigger_and_its_recipient(applied: Applied) -> None:
    send_jobs(applied)

    page = applied.rb.activities.list("cy")

    (item,) = page.items
    assert (item.workflow, item.data, item.tenant) == ("first", {"n": 1}, "t")
    assert (item.recipient, item.occurred_at) == ("cy", NOW - 4 * HOUR)
    assert item.actor is not None
    assert item.actor.as_dict() == {"id": "ann", "name": "Ann", "avatar": None}


def test_an_actor_has_one_activity_for_each_recipient(applied: Applied) -> None:
    send_jobs(applied)

    page = applied.rb.activities.list("ann", role="actor")

    assert sorted(lines(page)) == [("first", "bo", "ann"), ("first", "cy", "ann")]


def test_rule_14_a_merge_transfers_thirty_days_of_activities_in_both_roles(applied: Applied) -> None:
    send_jobs(applied)
    applied.rb.users.merge("cy", "ann", occurred_at=NOW - HOUR)
    applied.rb.users.merge("cy", "guest", occurred_at=NOW - HOUR)
    applied.now()

    assert lines(applied.rb.activities.list("cy")) == [("back", "cy", "bo"), ("first", "cy", "cy")]
    caused = lines(applied.rb.activities.list("cy", role="actor"))
    assert caused[0] == ("second", "bo", "cy")
    assert sorted(caused[1:]) == [("first", "bo", "cy"), ("first", "cy", "cy")]
    assert applied.rb.activities.list("ann").items == ()


def test_rule_9_a_deleted_actor_is_shown_as_missing(applied: Applied) -> None:
    send_jobs(applied)
    applied.rb.users.delete("ann", occurred_at=NOW - HOUR)
    applied.now()

    (item,) = applied.rb.activities.list("cy").items
    assert item.actor is not None
    assert item.actor.as_dict() == {"id": None, "missing": True}
    assert applied.rb.activities.list("ann", role="actor").items == ()


def test_activities_of_a_deleted_recipient_are_not_listed_for_the_actor(applied: Applied) -> None:
    send_jobs(applied)
    applied.rb.users.delete("cy", occurred_at=NOW - HOUR)
    applied.now()

    assert lines(applied.rb.activities.list("ann", role="actor")) == [("first", "bo", "ann")]


def test_rule_19_activities_do_not_depend_on_preferences(applied: Applied) -> None:
    applied.rb.users.set_preferences("ann", "default", {"workflows": {"w": False}}, occurred_at=NOW - 2 * HOUR)
    applied.rb.workflows.trigger("w", ["ann"], occurred_at=NOW - HOUR)
    applied.now()

    assert lines(applied.rb.activities.list("ann")) == [("w", "ann", None)]
    assert applied.rb.messages.list("ann").items == ()


@pytest.mark.parametrize("role", ["recipient", "actor"])
def test_pages_list_each_activity_once(applied: Applied, role: Any) -> None:
    everybody = [{"id": f"u{number}"} for number in range(5)]
    for number in range(2):
        at = NOW - (number + 1) * HOUR
        applied.rb.workflows.trigger("w", [*everybody, {"id": "ann"}], actor={"id": "ann"}, occurred_at=at)
    applied.now()

    pages = [applied.rb.activities.list("ann", role=role, limit=1)]
    while (after := pages[-1].after) is not None:
        pages.append(applied.rb.activities.list("ann", role=role, limit=1, after=after))

    seen = [item.id for page in pages for item in page.items]
    assert len(seen) == len(set(seen)) == (2 if role == "recipient" else 12)
    assert seen == [item.id for item in applied.rb.activities.list("ann", role=role).items]


def test_an_unknown_user_has_no_activities(applied: Applied) -> None:
    assert applied.rb.activities.list("nobody") == Page(items=(), after=None)
    assert applied.rb.activities.list("nobody", role="actor") == Page(items=(), after=None)


def test_an_unknown_role_is_rejected() -> None:
    with pytest.raises(InvalidRequest, match="role"):
        Rollbook(database_url="postgresql://unknown@127.0.0.1:1/none").activities.list("ann", role="owner")  # type: ignore[arg-type]
