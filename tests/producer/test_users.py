"""Reading users, their preferences and their channel data."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from tests.support.producer.applied_jobs import NOW, Applied

from rollbook import InvalidRequest, NotConfigured, Rollbook, Unavailable, UserCount, UserNotFound
from rollbook.queries import user_list
from rollbook_worker.migrations import optional_indexes

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
    time = datetime(2026, 11, 20, 10, 0, 0, 123456, tzinfo=timezone(timedelta(hours=3)))
    applied.rb.users.identify(
        "u1", {**ANN, "created_at": "2020-01-31t09:30:00.5+02:00", "plan": "pro", "none": None}, occurred_at=time
    )
    applied.now()

    user = applied.rb.users.get("u1")

    assert {name: getattr(user, name) for name in ANN} == ANN
    assert user.id == "u1"
    assert user.created_at == datetime(2020, 1, 31, 9, 30, 0, 500_000, tzinfo=timezone(timedelta(hours=2)))
    assert user.created_at.utcoffset() == timedelta(hours=2)
    assert user.properties == {"plan": "pro", "none": None}
    assert user.updated_at == time
    assert user.updated_at.tzinfo is UTC


def test_a_user_without_traits_has_none(applied: Applied) -> None:
    applied.rb.users.identify("u1")
    applied.now()

    user = applied.rb.users.get("u1")

    assert (user.email, user.name, user.created_at, user.properties) == (None, None, None, {})
    assert user.updated_at == NOW


def test_many_users_are_read_by_their_ids_in_the_order_asked_for(applied: Applied) -> None:
    for id_ in ("a", "b", "c", "d"):
        applied.rb.users.identify(id_, {"plan": id_}, occurred_at=NOW - timedelta(seconds=1))
    applied.rb.users.delete("d")
    applied.rb.users.merge("a", "b")
    applied.now()

    found = applied.rb.users.get_many(["c", "nobody", "b", "d", "a", "c"])

    assert found == (applied.rb.users.get("c"), applied.rb.users.get("a"))


@pytest.mark.parametrize("ids", [[], "x", [""], [None], ["a", "x" * 257], 1001 * ["a"]])
def test_ids_that_no_users_can_have_are_rejected(applied: Applied, ids: Any) -> None:
    with pytest.raises(InvalidRequest, match="user_ids"):
        applied.rb.users.get_many(ids)


def test_an_unknown_user_is_not_found(applied: Applied) -> None:
    with pytest.raises(UserNotFound) as missing:
        applied.rb.users.get("nobody")

    assert (missing.value.user_id, missing.value.merged_into) == ("nobody", None)


def test_a_stored_attribute_that_would_be_rejected_today_is_read_and_merged(
    applied: Applied, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before_the_rule:
        before_the_rule.setattr("rollbook_shared.jobs.fields.attribute_problem", lambda name, value: None)
        applied.rb.users.identify("old", {"email": "ann\x1b@example.com", "avatar": "data:text/html,x"})
        applied.now()

    applied.rb.users.identify("old", {"plan": "pro"})
    applied.rb.users.merge("ann", "old")
    applied.now()

    user = applied.rb.users.get("ann")
    assert (user.email, user.avatar) == ("ann\x1b@example.com", "data:text/html,x")
    assert user.properties == {"plan": "pro"}


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

    assert (len(page.items), page.after, page.before) == (3, None, None)


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
    device = {"token": "t1", "locale": None, "timezone": None}
    assert users.get_channel_data("u1", "apns") == {"tokens": ["t1"], "devices": [device]}
    assert users.get_channel_data("u1", "fcm") is None
    assert users.get("u1").properties == {}


def test_an_absent_database_is_unavailable() -> None:
    rb = Rollbook(database_url="postgresql://unknown@127.0.0.1:1/none")

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


READS_WITH_AN_OPTIONAL_INDEX: dict[str, tuple[dict[str, Any], list[str]]] = {
    "phone_number": ({"where": {"phone_number": "+14155550100"}}, ["bo", "cy"]),
    "prefix": ({"prefix": "AN"}, ["ann", "cy"]),
    "created_at": ({"sort": "-created_at"}, ["bo", "cy", "ann"]),
    "updated_at": ({"sort": "-updated_at"}, ["ann", "bo", "cy"]),
}
"""What each index serves, and the users in their order."""


@pytest.fixture
def three_users(applied: Applied) -> Applied:
    users: list[dict[str, Any]] = [
        {"id": "bo", "name": "Bo", "phone_number": "+14155550100", "created_at": "2026-03-01T00:00:00Z"},
        {"id": "ann", "email": "annie@example.com", "created_at": "2026-01-01T00:00:00Z"},
        {
            "id": "cy",
            "email": "cy@example.com",
            "name": "Anselm",
            "phone_number": "+14155550100",
            "created_at": "2026-02-01T00:00:00Z",
        },
        {"id": "dee"},
    ]
    for days, user in enumerate(users):
        traits = {key: value for key, value in user.items() if key != "id"}
        applied.rb.users.identify(user["id"], traits, occurred_at=NOW - timedelta(days=10 + days))
    applied.rb.users.merge("ann", "dee", occurred_at=NOW - timedelta(days=1))
    applied.now()
    return applied


@pytest.mark.parametrize("index", READS_WITH_AN_OPTIONAL_INDEX)
def test_rule_35_without_an_optional_index_few_users_are_sorted_and_of_many_the_error_names_the_command(
    three_users: Applied, index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, expected = READS_WITH_AN_OPTIONAL_INDEX[index]
    users = three_users.rb.users

    assert [user.id for user in users.all(**read)] == expected

    monkeypatch.setattr(user_list, "MAX_SCANNED", 3)
    with pytest.raises(NotConfigured, match=f"`rollbook migrate --index {index}`"):
        users.list(**read)
    # an address finds few enough
    where = {**read.get("where", {}), "email": "CY@example.com"}
    assert [user.id for user in users.list(**{**read, "where": where}).items] == ["cy"]


@pytest.mark.parametrize("index", READS_WITH_AN_OPTIONAL_INDEX)
def test_rule_35_with_an_optional_index_users_are_read_in_its_order_however_many_there_are(
    three_users: Applied, index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, expected = READS_WITH_AN_OPTIONAL_INDEX[index]
    users = three_users.rb.users
    monkeypatch.setattr(user_list, "MAX_SCANNED", 3)

    assert optional_indexes.create_index(three_users.database_url, index)
    assert not optional_indexes.create_index(three_users.database_url, index)

    first = users.list(**read, limit=1)
    second = users.list(**read, limit=3, after=first.after)
    back = users.list(**read, limit=1, before=second.before)
    assert [user.id for page in (first, second) for user in page.items] == expected
    assert back.items == first.items

    optional_indexes.drop_index(three_users.database_url, index)
    with pytest.raises(NotConfigured):
        users.list(**read)


def test_rule_35_an_address_that_very_many_have_is_read_along_the_ids(
    applied: Applied, monkeypatch: pytest.MonkeyPatch
) -> None:
    applied.rb.users.bulk_identify(
        {"id": f"u{n:02}", "email": f"{'Shared' if n % 3 else 'own'}@example.com"} for n in range(30)
    )
    applied.now()
    monkeypatch.setattr(user_list, "MAX_SCANNED", 4)
    expected = [f"u{n:02}" for n in range(30) if n % 3]

    assert [user.id for user in applied.rb.users.find(email="shared@example.com")] == expected
    pages = [applied.rb.users.list(where={"email": "shared@example.com"}, limit=3)]
    while pages[-1].after:
        pages.append(applied.rb.users.list(where={"email": "shared@example.com"}, limit=3, after=pages[-1].after))
    assert [user.id for page in pages for user in page.items] == expected
    with pytest.raises(InvalidRequest, match="sort"):
        applied.rb.users.list(where={"email": "shared@example.com"}, sort="created_at")


def test_rule_35_a_count_is_exact_up_to_a_bound_and_then_an_estimate_that_says_so(
    applied: Applied, monkeypatch: pytest.MonkeyPatch
) -> None:
    applied.rb.users.bulk_identify(
        {"id": f"u{n}", "plan": "pro" if n % 4 else "free", "email": f"u{n}@example.com"} for n in range(80)
    )
    applied.now()
    count = applied.rb.users.count

    assert count() == UserCount(value=80, is_exact=True)
    assert count(where={"plan": "pro"}) == UserCount(value=60, is_exact=True)
    assert count(prefix="U1") == UserCount(value=11, is_exact=True)
    monkeypatch.setattr(user_list, "MAX_SCANNED", 20)
    # all of so small a table is the sample
    assert count() == UserCount(value=80, is_exact=False)
    assert count(where={"plan": "pro"}) == UserCount(value=60, is_exact=False)
    assert count(prefix="u") == UserCount(value=80, is_exact=False)
    # what an index finds is counted
    assert count(where={"email": "U7@example.com", "plan": "pro"}) == UserCount(value=1, is_exact=True)
    assert count(prefix="u7@") == UserCount(value=1, is_exact=False)
    optional_indexes.create_index(applied.database_url, "prefix")
    assert count(prefix="u7@") == UserCount(value=1, is_exact=True)
    assert count(prefix="u") == UserCount(value=80, is_exact=False)


def test_rule_35_a_sample_estimates_the_number_of_users(applied: Applied, monkeypatch: pytest.MonkeyPatch) -> None:
    for start in range(0, 3_000, 100):
        applied.rb.users.bulk_identify(
            {"id": f"u{n}", "plan": "pro", "bio": "x" * 500} for n in range(start, start + 100)
        )
    applied.now()
    monkeypatch.setattr(user_list, "MAX_SCANNED", 20)
    monkeypatch.setattr(user_list, "_SAMPLED_PAGES", 100)

    count = applied.rb.users.count(where={"plan": "pro"})

    assert not count.is_exact
    assert 1_500 <= count.value <= 6_000


def test_rule_35_find_needs_an_address_or_a_number(applied: Applied) -> None:
    applied.rb.users.bulk_identify(
        [
            {"id": "u1", "email": "Ann@Example.com", "phone_number": "+14155550100"},
            {"id": "u2", "email": "ann@example.com"},
            {"id": "u3", "phone_number": "+14155550100"},
        ]
    )
    applied.now()
    find = applied.rb.users.find

    assert [user.id for user in find(email="ANN@example.com")] == ["u1", "u2"]
    assert [user.id for user in find(phone_number="+14155550100")] == ["u1", "u3"]
    assert [user.id for user in find(email="ann@example.com", phone_number="+14155550100")] == ["u1"]
    assert find(email="bo@example.com") == ()
    with pytest.raises(InvalidRequest, match="phone_number"):
        find()


def test_rule_35_a_cursor_of_another_order_is_rejected(applied: Applied) -> None:
    applied.rb.users.bulk_identify({"id": f"u{n}"} for n in range(3))
    applied.now()
    after = applied.rb.users.list(limit=1).after

    others: list[dict[str, Any]] = [{"sort": "-id"}, {"sort": "created_at"}, {"sort": "updated_at"}, {"prefix": "u"}]
    for other in others:
        with pytest.raises(InvalidRequest, match="after"):
            applied.rb.users.list(after=after, **other)


def test_rule_35_an_empty_page_leads_back_to_the_user_before_it(
    applied: Applied, monkeypatch: pytest.MonkeyPatch
) -> None:
    applied.rb.users.bulk_identify({"id": name, "plan": "pro" if name == "b" else "free"} for name in "abcde")
    applied.now()
    monkeypatch.setattr(user_list, "MAX_SCANNED", 1)

    first = applied.rb.users.list(where={"plan": "pro"})
    second = applied.rb.users.list(where={"plan": "pro"}, after=first.after)
    back = applied.rb.users.list(where={"plan": "pro"}, before=second.before)

    assert [[user.id for user in page.items] for page in (first, second, back)] == [["b"], [], ["b"]]


def test_rule_35_a_user_with_a_prefix_more_than_once_is_listed_once(applied: Applied) -> None:
    applied.rb.users.bulk_identify(
        [
            {"id": "x", "email": "ann@example.com", "name": "Ann"},
            {"id": "ann", "email": "ann@example.com", "name": "Ann"},
            {"id": "y", "name": "ANNA"},
            {"id": "z", "name": "Bo"},
        ]
    )
    applied.now()

    assert [user.id for user in applied.rb.users.all(prefix="ann")] == ["ann", "x", "y"]
    assert applied.rb.users.count(prefix="ann").value == 3


@pytest.mark.parametrize("which", [{}, {"prefix": "u"}, {"where": {"name": "Ann"}}])
def test_rule_35_users_without_created_at_come_last_in_both_orders(applied: Applied, which: dict[str, Any]) -> None:
    applied.rb.users.bulk_identify(
        [
            {"id": "u1", "name": "Ann"},
            {"id": "u2", "name": "Ann", "created_at": "2026-02-01T00:00:00Z"},
            {"id": "u3", "name": "Ann", "created_at": "2026-02-01T00:30:00+01:00"},
        ]
    )
    applied.now()

    assert [user.id for user in applied.rb.users.all(sort="created_at", **which)] == ["u3", "u2", "u1"]
    assert [user.id for user in applied.rb.users.all(sort="-created_at", **which)] == ["u2", "u3", "u1"]


def test_rule_31_each_token_is_read_with_its_device(applied: Applied) -> None:
    users = applied.rb.users
    users.set_channel_data("u1", "push", {"tokens": ["t1"], "topic": "news"}, occurred_at=NOW - timedelta(days=2))
    device = {"locale": "de", "timezone": "Europe/Berlin"}
    users.add_push_token("u1", "push", "t2", device, occurred_at=NOW - timedelta(days=1))
    users.add_push_token("u1", "push", "t3", {"locale": "fr"})
    users.set_channel_data("u1", "chat", {"connections": []})
    applied.now()

    assert users.get_channel_data("u1", "push") == {
        "tokens": ["t1", "t2", "t3"],
        "devices": [
            {"token": "t1", "locale": None, "timezone": None},
            {"token": "t2", "locale": "de", "timezone": "Europe/Berlin"},
            {"token": "t3", "locale": "fr", "timezone": None},
        ],
        "topic": "news",
    }
    assert users.get_channel_data("u1", "chat") == {"connections": []}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"sort": "-id"},
        {"sort": "created_at"},
        {"sort": "-created_at", "where": {"email": "same@example.com"}},
        {"prefix": "u"},
    ],
    ids=str,
)
def test_rule_44_a_page_of_large_users_is_shorter_and_none_is_missed(
    applied: Applied, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_list, "MAX_PAGE_BYTES", 300_000)
    traits = {"email": "same@example.com"}
    for number in range(9):
        made = {"created_at": NOW - timedelta(days=number % 3)}
        large = {"notes": "x" * 200_000} if number % 2 else {}
        applied.rb.users.identify(f"u{number}", {**traits, **made, **large})
    applied.rb.users.merge("u3", "u4")
    applied.now()

    pages = [applied.rb.users.list(limit=6, **options)]
    while pages[-1].after:
        pages.append(applied.rb.users.list(limit=6, after=pages[-1].after, **options))
    back = [applied.rb.users.list(limit=6, before=pages[-1].before, **options)]
    while back[-1].before:
        back.append(applied.rb.users.list(limit=6, before=back[-1].before, **options))

    listed = [user.id for page in pages for user in page.items]
    assert sorted(listed) == [f"u{number}" for number in range(9) if number != 4]
    assert max(sum("notes" in user.properties for user in page.items) for page in pages) == 2
    before_the_last = [user.id for page in reversed(back) for user in page.items]
    assert before_the_last + [user.id for user in pages[-1].items] == listed
