"""Which users the client rejects before it sends anything: the field that it names, and a word of the reason."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from tests.support.producer.rejections import NOW, only_problem_of, problems_of

from rollbook import InvalidRequest
from rollbook.testing import RecordingRollbook, recording


def nested(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = [value]
    return value


class Array:
    """Compares as an array does: item by item."""

    def __eq__(self, other: object) -> Any:
        return self

    def __bool__(self) -> bool:
        raise ValueError("the truth value of an array is ambiguous")

    __hash__ = None  # type: ignore[assignment]


BAD_TRAITS: list[tuple[Any, str, str]] = [
    ({"email": "no address"}, "email", "e-mail"),
    ({"email": 7}, "email", "must be text"),
    ({"name": ["Ann"]}, "name", "must be text"),
    ({"phone_number": "0171 234"}, "phone_number", "E.164"),
    ({"timezone": "Mars/Olympus"}, "timezone", "IANA"),
    ({"locale": "en GB"}, "locale", "locale"),
    ({"avatar": "not a url"}, "avatar", "URL"),
    ({"created_at": "yesterday"}, "created_at", "RFC 3339"),
    ({"created_at": "2026-02-30T00:00:00Z"}, "created_at", "RFC 3339"),
    ({"created_at": "2026-02-20T00:00:00"}, "created_at", "RFC 3339"),
    ({"created_at": datetime(2026, 1, 1)}, "created_at", "time zone"),  # noqa: DTZ001
    ({"created_at": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1)))}, "created_at", "years 1 to 9999"),
    ({"created_at": datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-5)))}, "created_at", "years 1 to 9999"),
    ({"updated_at": "2026-01-01T00:00:00Z"}, "updated_at", "reserved"),
    ({"id": "u2"}, "id", "is not the user's id"),
    ({"id": Array()}, "id", "is not the user's id"),
    ({"plan": "a\0b"}, "plan", "NUL"),
    ({"plan": "\ud800"}, "plan", "surrogate"),
    ({"a\0b": 1}, "traits", "NUL"),
    ({"\ud800": 1}, "traits", "surrogate"),
    ({"score": float("nan")}, "score", "finite"),
    ({"score": float("inf")}, "score", "finite"),
    ({"big": 1 << 2000}, "big", "too large"),
    ({"deep": nested(33)}, "deep", "deeper than 32"),
    ({"a\x1bb": 1 << 2000}, r"a\x1bb", "too large"),
    ({7: "seven"}, "traits", "key that is not a string"),
    ({"address": {7: "seven"}}, "address", "key that is not a string"),
    ({"address": {"lines": ["a", {"b": "\0"}]}}, "address.lines[1].b", "NUL"),
    ({"when": NOW}, "when", "not a JSON value"),
    ({"blob": b"x"}, "blob", "not a JSON value"),
    ({"tags": {"a", "b"}}, "tags", "not a JSON value"),
    ({"preferences": []}, "preferences", "object"),
    ({"preferences": {"default": {"workflow": {}}}}, "preferences.default.workflow", "not a known field"),
    ({"channel_data": {"apns": ["token"]}}, "channel_data.apns", "object"),
]


@pytest.mark.parametrize(("traits", "field", "reason"), BAD_TRAITS)
def test_an_invalid_trait_is_named(traits: Any, field: str, reason: str) -> None:
    named, why = only_problem_of(lambda rb: rb.users.identify("u1", traits))

    assert named == field
    assert reason in why


@pytest.mark.parametrize(("traits", "field", "reason"), [case for case in BAD_TRAITS if "id" not in case[0]])
def test_an_invalid_trait_in_a_bulk_job_is_named_with_its_index(traits: Any, field: str, reason: str) -> None:
    users = [{"id": "u0"}, {"id": "u1", **traits}]

    ((named, why, index),) = problems_of(lambda rb: rb.users.bulk_identify(users))

    assert named == ("users[1]" if field == "traits" else f"users[1].{field}")
    assert reason in why
    assert index == 1


def test_deep_nesting_within_the_limit_is_accepted() -> None:
    rb = recording()

    rb.users.identify("u1", {"deep": nested(31)})

    assert len(rb.sent) == 1


BAD_IDS = [
    ("", "empty"),
    ("x" * 257, "256"),
    ("a/b", "/"),
    ("a#b", "#"),
    ("a\0b", "NUL"),
    ("\ud800", "surrogate"),
    (7, "text"),
    (None, "text"),
    (b"u1", "text"),
    (["u1"], "text"),
]


@pytest.mark.parametrize(("user_id", "reason"), BAD_IDS)
@pytest.mark.parametrize(
    ("field", "call"),
    [
        ("id", lambda rb, bad: rb.users.identify(bad)),
        ("users[1].id", lambda rb, bad: rb.users.bulk_identify([{"id": "u1"}, {"id": bad}])),
        ("user_id", lambda rb, bad: rb.users.delete(bad)),
        ("user_ids[1]", lambda rb, bad: rb.users.bulk_delete(["u1", bad])),
        ("user_id", lambda rb, bad: rb.users.merge(bad, "u2")),
        ("from_user_id", lambda rb, bad: rb.users.merge("u1", bad)),
        ("from_user_id", lambda rb, bad: rb.users.merge("u1", bad, dry_run=True)),
        ("user_id", lambda rb, bad: rb.users.get(bad)),
        ("user_id", lambda rb, bad: rb.users.list_preferences(bad)),
        ("user_id", lambda rb, bad: rb.users.get_channel_data(bad, "apns")),
        ("user_id", lambda rb, bad: rb.users.set_preferences(bad, "default", {})),
        ("user_id", lambda rb, bad: rb.users.unset_preferences(bad, "default")),
        ("user_ids[0]", lambda rb, bad: rb.users.bulk_set_preferences([bad], "default", {})),
        ("user_id", lambda rb, bad: rb.users.set_channel_data(bad, "apns", {})),
        ("user_id", lambda rb, bad: rb.users.unset_channel_data(bad, "apns")),
        ("recipients[1]", lambda rb, bad: rb.workflows.trigger("w", ["u1", bad])),
        ("recipients[1].id", lambda rb, bad: rb.workflows.trigger("w", ["u1", {"id": bad}])),
        ("actor.id", lambda rb, bad: rb.workflows.trigger("w", ["u1"], actor={"id": bad})),
    ],
)
def test_an_invalid_user_id_is_named_in_every_argument(
    field: str, call: Callable[[RecordingRollbook, Any], object], user_id: Any, reason: str
) -> None:
    named, why = only_problem_of(lambda rb: call(rb, user_id))

    assert named == field
    assert reason in why


def test_all_invalid_users_of_a_bulk_job_are_listed_with_all_their_invalid_fields() -> None:
    users: list[dict[str, object]] = [
        {"id": "u0", "email": "x", "phone_number": "y"},
        {"id": "u1"},
        {"id": "", "timezone": "z"},
    ]

    found = problems_of(lambda rb: rb.users.bulk_identify(users))

    assert [(field, index) for field, _, index in found] == [
        ("users[0].email", 0),
        ("users[0].phone_number", 0),
        ("users[2].id", 2),
        ("users[2].timezone", 2),
    ]


def test_problems_of_options_and_body_are_reported_together() -> None:
    found = problems_of(
        lambda rb: rb.workflows.trigger(
            "",
            ["", {"id": "u2", "email": "x"}, "/"],
            job_id="?",
            occurred_at=datetime(2026, 1, 1),  # noqa: DTZ001
        )
    )

    assert [field for field, _, _ in found] == [
        "recipients[1].email",
        "job_id",
        "occurred_at",
        "workflow",
        "recipients[0]",
        "recipients[2]",
    ]


def test_no_value_shows_in_the_message() -> None:
    rb = recording()

    with pytest.raises(InvalidRequest) as rejected:
        rb.users.identify("u1", {"email": "SECRET", "phone_number": "SECRET", "updated_at": "SECRET"})

    assert "SECRET" not in str(rejected.value)
    assert "email" in str(rejected.value)
