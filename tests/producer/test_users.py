"""Reading users, their preferences and their channel data."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from tests.support.producer.applied_jobs import NOW, Applied

from rollbook import NotConfigured, Rollbook, Unavailable, UserNotFound

ANN = {
    "email": "ann@example.com",
    "name": "Ann",
    "avatar": "https://example.com/ann.png",
    "phone_number": "+14155550100",
    "locale": "en-GB",
    "timezone": "Europe/Berlin",
}


def ids(applied: Applied, **where: Any) -> list[str]:
    return [user.id for user in applied.rb.users.all(where=where)]


def test_a_user_is_read_as_it_was_sent(applied: Applied) -> None:
    moment = datetime(2026, 11, 20, 10, 0, 0, 123456, tzinfo=timezone(timedelta(hours=3)))
    applied.rb.users.identify(
        "u1", {**ANN, "created_at": "2020-01-31t09:30:00.5+02:00", "plan": "pro", "none": None}, occurred_at=moment
    )
    applied.now()

    user = applied.rb.users.get("u1")

    assert {name: getattr(user, name) for name in ANN} == ANN
    assert user.id == "u1"
    assert user.created_at == datetime(2020, 1, 31, 9, 30, 0, 500_000, tzinfo=timezone(timedelta(hours=2)))
    assert user.created_at.utcoffset() == timedelta(hours=2)
    assert user.properties == {"plan": "pro", "none": None}
    assert user.updated_at == moment
    assert user.updated_at.tzinfo is UTC


def test_a_user_without_traits_has_none(applied: Applied) -> None:
    applied.rb.users.identify("u1")
    applied.now()

    user = applied.rb.users.get("u1")

    assert (user.email, user.name, user.created_at, user.properties) == (None, None, None, {})
    assert user.updated_at == NOW


def test_an_unknown_user_is_not_found(applied: Applied) -> None:
    with pytest.raises(UserNotFound) as missing:
        applied.rb.users.get("nobody")

    assert (missing.value.user_id, missing.value.merged_into) == ("nobody", None)


def test_a_deleted_user_is_neither_found_nor_listed(applied: Applied) -> None:
    applied.rb.users.identify("u1", occurred_at=NOW - timedelta(days=1))
    applied.rb.users.delete("u1")
    applied.now()

    assert ids(applied) == []
    with pytest.raises(UserNotFound):
        applied.rb.users.get("u1")


def test_a_merged_away_user_is_not_found_and_names_the_primary(applied: Applied) -> None:
    applied.rb.users.identify("u1", {"name": "Ann"}, occurred_at=NOW - timedelta(days=2))
    applied.rb.users.identify("guest", {"email": "ann@example.com"}, occurred_at=NOW - timedelta(days=2))
    applied.rb.users.merge("u1", "guest")
    applied.now()

    assert ids(applied) == ["u1"]
    assert applied.rb.users.get("u1").email == "ann@example.com"
    for read in (applied.rb.users.get, applied.rb.users.get_preferences, applied.rb.users.list_preferences):
        with pytest.raises(UserNotFound) as missing:
            read("guest")
        assert missing.value.merged_into == "u1"


def test_pages_follow_each_other_in_byte_order_without_gap_or_overlap(applied: Applied) -> None:
    names = ["A", "Z", "a", "aa", "b-1", "b1", "z", "ä", "\U0001f600"]
    applied.rb.users.bulk_identify({"id": name} for name in names)
    applied.now()

    read: list[str] = []
    page = applied.rb.users.list(limit=2)
    pages = [page]
    while page.after is not None:
        page = applied.rb.users.list(limit=2, after=page.after)
        pages.append(page)
    read = [user.id for page in pages for user in page.items]

    assert read == sorted(names, key=str.encode)
    assert [len(page.items) for page in pages] == [2, 2, 2, 2, 1]


def test_a_page_that_is_just_full_is_the_last(applied: Applied) -> None:
    applied.rb.users.bulk_identify({"id": f"u{number}"} for number in range(3))
    applied.now()

    page = applied.rb.users.list(limit=3)

    assert (len(page.items), page.after) == (3, None)
    assert applied.rb.users.list(after="u2").items == ()


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({}, ["u1", "u2", "u3", "u4"]),
        ({"plan": "pro"}, ["u1", "u2"]),
        ({"plan": "pro", "name": "Bo"}, ["u2"]),
        ({"name": "Bo"}, ["u2"]),
        ({"name": None}, ["u3", "u4"]),
        ({"name": "bo"}, []),
        ({"plan": None}, ["u3"]),
        ({"plan": "none"}, []),
        ({"seats": 1}, ["u1"]),
        ({"seats": True}, ["u2"]),
        ({"seats": "1"}, ["u3"]),
        ({"address": {"city": "Ulm", "zip": 1}}, ["u1"]),
        ({"address": {"city": "Ulm"}}, []),
        ({"tags": ["a", "b"]}, ["u1"]),
        ({"tags": ["b", "a"]}, []),
        ({"odd.'key\"%(x)s": 1}, ["u4"]),
        ({"no such property": 1}, []),
    ],
)
def test_filters_by_attribute_and_property(applied: Applied, where: dict[str, Any], expected: list[str]) -> None:
    applied.rb.users.bulk_identify(
        [
            {
                "id": "u1",
                "name": "Ann",
                "plan": "pro",
                "seats": 1,
                "address": {"zip": 1, "city": "Ulm"},
                "tags": ["a", "b"],
            },
            {"id": "u2", "name": "Bo", "plan": "pro", "seats": True},
            {"id": "u3", "name": None, "plan": None, "seats": "1"},
            {"id": "u4", "odd.'key\"%(x)s": 1},
        ]
    )
    applied.now()

    assert [user.id for user in applied.rb.users.list(where=where).items] == expected


def test_filters_see_the_result_of_a_merge(applied: Applied) -> None:
    applied.rb.users.identify("guest", {"email": "a@b.example", "plan": "pro"}, occurred_at=NOW - timedelta(days=1))
    applied.rb.users.identify("u1", occurred_at=NOW - timedelta(days=1))
    applied.rb.users.merge("u1", "guest")
    applied.now()

    assert ids(applied, plan="pro", email="a@b.example") == ["u1"]


def test_preferences_and_channel_data_are_read_as_they_were_set(applied: Applied) -> None:
    users = applied.rb.users
    users.set_preferences("u1", "default", {"workflows": {"digest": False}}, occurred_at=NOW - timedelta(days=2))
    users.bulk_set_preferences(["u1"], "acme", {"channel_types": {"sms": False}}, occurred_at=NOW - timedelta(days=2))
    users.set_channel_data("u1", "apns", {"tokens": ["t1"]}, occurred_at=NOW - timedelta(days=2))
    users.set_channel_data("u1", "fcm", {"tokens": ["t2"]}, occurred_at=NOW - timedelta(days=2))
    users.unset_channel_data("u1", "fcm")
    applied.now()

    assert users.get_preferences("u1") == {"workflows": {"digest": False}}
    assert users.list_preferences("u1") == {
        "default": {"workflows": {"digest": False}},
        "acme": {"channel_types": {"sms": False}},
    }
    assert users.get_preferences("u1", "other") is None
    assert users.get_channel_data("u1", "apns") == {"tokens": ["t1"]}
    assert users.get_channel_data("u1", "fcm") is None
    assert users.get("u1").properties == {}


def test_an_absent_database_is_unavailable() -> None:
    rb = Rollbook(database_url="postgresql://nobody@127.0.0.1:1/none")

    with pytest.raises(Unavailable) as failure:
        rb.users.list(where={"email": "secret@example.com"})

    assert "secret" not in f"{failure.value} {failure.value.__cause__}"


def test_without_a_database_a_read_says_what_to_set() -> None:
    with pytest.raises(NotConfigured, match="ROLLBOOK_DATABASE_URL"):
        Rollbook.from_env({}).users.get("u1")


@pytest.mark.parametrize("url", ["mysql://127.0.0.1/x", "no url", "postgresql://host:port/x"])
def test_an_invalid_database_url_is_rejected(url: str) -> None:
    with pytest.raises(NotConfigured, match="postgresql://"):
        Rollbook(database_url=url).users.get("u1")


def test_a_database_without_tables_says_to_migrate(database_url: str) -> None:
    empty = database_url.rpartition("/")[0] + "/postgres"

    with pytest.raises(NotConfigured, match="migrate") as failure:
        Rollbook(database_url=empty).users.list(where={"email": "secret@example.com"})

    assert "secret" not in f"{failure.value} {failure.value.__cause__}"


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_every_usual_scheme_of_postgres_is_accepted(database_url: str, scheme: str) -> None:
    with Rollbook(database_url=scheme + database_url.removeprefix("postgresql")) as rb:
        assert rb.users.list().items == ()
