"""The preview of a merge, and that the merge then does the same."""

from __future__ import annotations

from datetime import datetime, timedelta

import psycopg
from tests.support.producer.applied_jobs import NOW, Applied

from rollbook import Conflict, FilledValue, MergePreview

BEFORE = NOW - timedelta(days=40)


def identify_both(applied: Applied) -> None:
    users = applied.rb.users
    users.identify(
        "u1",
        {
            "email": "ann@example.com",
            "name": None,
            "plan": "pro",
            "address": {"city": "Ulm", "geo": {"lat": 1}},
            "seats": 1,
            "tags": ["a"],
            "same": [1],
            "nulled": None,
            "preferences": {"default": {"workflows": {"w": True}}, "same": {}},
            "channel_data": {"apns": {"tokens": ["1"]}},
        },
        occurred_at=BEFORE,
    )
    users.identify(
        "guest",
        {
            "email": "guest@example.com",
            "name": "Ann",
            "address": {"city": "Bonn", "zip": 5, "geo": "x"},
            "seats": True,
            "tags": ["b"],
            "same": [1],
            "nulled": 7,
            "cart": [1],
            "preferences": {"default": {"workflows": {"w": False}}, "acme": {}, "same": {}},
            "channel_data": {"apns": {"tokens": ["2"]}, "fcm": {}},
        },
        occurred_at=BEFORE,
    )


def test_a_preview_lists_everything_that_would_change(applied: Applied) -> None:
    identify_both(applied)
    applied.now()

    preview = applied.rb.users.merge("u1", from_user_id="guest", dry_run=True)

    assert preview == MergePreview(
        primary_id="u1",
        secondary_id="guest",
        effect="merge",
        attributes={"email": "ann@example.com", "name": "Ann"},
        properties={
            "plan": "pro",
            "address": {"city": "Ulm", "zip": 5, "geo": {"lat": 1}},
            "seats": 1,
            "tags": ["a"],
            "same": [1],
            "nulled": None,
            "cart": [1],
        },
        filled=(
            FilledValue(section="attributes", path=("name",), value="Ann"),
            FilledValue(section="properties", path=("address", "zip"), value=5),
            FilledValue(section="properties", path=("cart",), value=[1]),
        ),
        conflicts=(
            Conflict(section="attributes", path=("email",), winner="ann@example.com", loser="guest@example.com"),
            Conflict(section="properties", path=("address", "city"), winner="Ulm", loser="Bonn"),
            Conflict(section="properties", path=("address", "geo"), winner={"lat": 1}, loser="x"),
            Conflict(section="properties", path=("nulled",), winner=None, loser=7),
            Conflict(section="properties", path=("seats",), winner=1, loser=True),
            Conflict(section="properties", path=("tags",), winner=["a"], loser=["b"]),
            Conflict(
                section="preferences",
                path=("default",),
                winner={"workflows": {"w": True}},
                loser={"workflows": {"w": False}},
            ),
            Conflict(section="channel_data", path=("apns",), winner={"tokens": ["1"]}, loser={"tokens": ["2"]}),
        ),
        preference_sets_added=("acme",),
        channels_added=("fcm",),
        messages=0,
        activities=0,
    )


def test_the_merge_does_what_its_preview_said(applied: Applied) -> None:
    identify_both(applied)
    applied.now()
    preview = applied.rb.users.merge("u1", "guest", dry_run=True)

    applied.rb.users.merge("u1", "guest")
    applied.now()

    user = applied.rb.users.get("u1")
    assert user.properties == preview.properties
    assert (user.email, user.name) == (preview.attributes["email"], preview.attributes["name"])
    assert {"acme", "default", "same"} == applied.rb.users.list_preferences("u1").keys()


def test_only_the_history_of_thirty_days_before_the_merge_would_move(applied: Applied) -> None:
    identify_both(applied)
    for age in (timedelta(days=31), timedelta(days=30), timedelta(days=1)):
        applied.rb.workflows.trigger("hello", ["guest", "u1"], channels=("in_app", "sms"), occurred_at=NOW - age)
    applied.now()

    def moving(occurred_at: datetime | None = None) -> tuple[int, int]:
        preview = applied.rb.users.merge("u1", "guest", dry_run=True, occurred_at=occurred_at)
        return preview.messages, preview.activities

    assert moving() == (4, 2)
    assert moving(NOW + timedelta(microseconds=1)) == (2, 1)
    assert moving(NOW - timedelta(days=1)) == (6, 3)


def test_a_preview_writes_nothing_and_sends_nothing(applied: Applied) -> None:
    identify_both(applied)
    applied.now()
    before = contents(applied)

    applied.rb.users.merge("u1", "guest", dry_run=True)
    applied.now()

    assert contents(applied) == before


def contents(applied: Applied) -> list[object]:
    with psycopg.connect(applied.database_url) as connection:
        tables = ("users", "lifecycle_events", "ownership_periods", "jobs", "identify_log")
        return [
            connection.execute(f"SELECT * FROM rollbook.{table} ORDER BY 1".encode()).fetchall() for table in tables
        ]


def test_an_unknown_secondary_would_only_be_redirected(applied: Applied) -> None:
    identify_both(applied)
    applied.now()

    preview = applied.rb.users.merge("u1", "nobody", dry_run=True)

    assert (preview.effect, preview.conflicts, preview.channels_added) == ("redirect", (), ())
    assert preview.properties == applied.rb.users.get("u1").properties


def test_an_unknown_primary_would_take_over_everything(applied: Applied) -> None:
    identify_both(applied)
    applied.now()

    preview = applied.rb.users.merge("new", "guest", dry_run=True)

    assert (preview.effect, preview.conflicts, preview.channels_added) == ("merge", (), ("apns", "fcm"))
    assert preview.properties == applied.rb.users.get("guest").properties


def test_a_merged_away_primary_is_followed_and_a_merged_away_secondary_changes_nothing(applied: Applied) -> None:
    identify_both(applied)
    applied.rb.users.identify("other", {"hat": "red"}, occurred_at=BEFORE)
    applied.rb.users.merge("u1", "guest", occurred_at=NOW - timedelta(days=1))
    applied.now()

    followed = applied.rb.users.merge("guest", "other", dry_run=True)
    again = applied.rb.users.merge("other", "guest", dry_run=True)
    itself = applied.rb.users.merge("guest", "u1", dry_run=True)

    assert (followed.primary_id, followed.effect, followed.properties["hat"]) == ("u1", "merge", "red")
    assert (again.effect, again.properties) == ("nothing", {"hat": "red"})
    assert (itself.primary_id, itself.effect) == ("u1", "nothing")
