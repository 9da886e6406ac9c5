"""The attributes (rule 2), and the format of each."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.support.arbitrary_jobs import GOOD_ATTRIBUTES
from tests.support.builders import identify

from rollbook_shared.domain.attributes import ATTRIBUTES, RESERVED, attribute_problem
from rollbook_shared.errors import Undecodable
from rollbook_shared.jobs.codec import decode, encode
from rollbook_shared.jobs.fields import USER_ID, is_common
from rollbook_shared.jobs.models import UserUpdate
from rollbook_shared.jobs.pydantic_problems import problems_of

BAD: dict[str, list[object]] = {
    "email": [
        "",
        "ann",
        "@example.com",
        "ann@",
        "ann@x@y",
        "ann @example.com",
        1,
        ["ann@example.com"],
        "ann\x1b[31m@example.com",
        "ann@example.com\x7f",
        "ann\x9b@example.com",
    ],
    "name": [1, True, {}, [], "A\x1bnn", "Ann\n", "Ann\tLee", "\x85"],
    "avatar": [
        "",
        "a.png",
        "ftp://example.com/a.png",
        "javascript:alert(1)",
        "https://",
        "http://[",
        1,
        "data:text/html,<script>alert(1)</script>",
        "data:,x",
        "DATA:image/png,x",
        "data:image",
        "data:image/png,a b",
        "https://example.com/a b.png",
        "https://example.com/\x1b.png",
        "https://exam\tple.com/a.png",
        " https://example.com/a.png",
        "https://u:p@example.com/a.png",
        "https://u@example.com/a.png",
        "http:a.png",
    ],
    "phone_number": ["", "+", "4155550100", "+0155550100", "+1 415 555", "+1234567890123456", "+14155550100\n", 1],
    "locale": ["", "e", "en-", "en GB", "en-GB\n", "123", 1],
    "timezone": [
        "",
        "Berlin",
        "Europe/Nowhere",
        "europe/berlin",
        "localtime",
        "posixrules",
        "Factory",
        "../etc/passwd",
        "UTC+1",
        1,
    ],
    "created_at": [
        "",
        "2026-01-31",
        "2026-01-31T09:30:00",
        "2026-01-31 09:30",
        "2026-13-01T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-01-31T09:30:00+5",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:00:00-05:00",
        "2026-01-31T09:30:00Z\n",
        1767225600,
    ],
}


def test_the_tables_here_name_every_attribute() -> None:
    assert set(BAD) == set(GOOD_ATTRIBUTES) == ATTRIBUTES


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, good in GOOD_ATTRIBUTES.items() for value in good], ids=repr
)
def test_a_valid_attribute_is_kept_unchanged(name: str, value: str) -> None:
    assert UserUpdate(id="a", traits={name: value}).traits == {name: value}


@pytest.mark.parametrize("name", sorted(ATTRIBUTES))
def test_every_attribute_may_be_null(name: str) -> None:
    assert UserUpdate(id="a", traits={name: None}).traits == {name: None}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, bad in BAD.items() for value in bad], ids=repr)
def test_an_invalid_attribute_is_rejected_by_name(name: str, value: object) -> None:
    assert attribute_problem(name, value) is not None

    with pytest.raises(ValidationError) as found:
        UserUpdate(id="a", traits={name: value})

    assert [problem.field for problem in problems_of(found.value)] == [name]


@pytest.mark.parametrize(
    ("name", "start", "filling", "end", "most"),
    [
        ("email", "", "a", "@example.com", 320),
        ("name", "", "a", "", 1_000),
        ("avatar", "https://example.com/", "a", "", 2_048),
        ("avatar", "data:image/png;base64,", "A", "", 65_536),
        ("locale", "en", "-aaaaaa", "", 100),
        ("created_at", "2026-01-31T09:30:00.", "0", "Z", 64),
    ],
)
def test_an_attribute_has_a_greatest_length(name: str, start: str, filling: str, end: str, most: int) -> None:
    def text(length: int) -> str:
        return (start + filling * length)[: length - len(end)] + end

    assert attribute_problem(name, text(most)) is None
    assert attribute_problem(name, text(most + 1)) == f"must be at most {most:,} characters"


def test_a_created_at_out_of_range_in_utc_makes_a_dead_letter() -> None:
    text = encode(identify("a", at=1, created_at="2026-01-01T00:00:00Z"))
    text = text.replace("2026-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00")

    with pytest.raises(Undecodable, match="created_at: must be an RFC 3339 time") as found:
        decode(text)

    assert found.value.code == "invalid"


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_a_reserved_name_is_not_a_property(name: str) -> None:
    with pytest.raises(ValidationError) as found:
        UserUpdate(id="a", traits={name: "x"})

    (problem,) = problems_of(found.value)
    assert (problem.field, problem.reason) == (name, "is a reserved name, not a property")


@pytest.mark.parametrize("id_", ["", "a/b", "a#b", "x" * 257, "a\0", "\ud800", 1, None])
def test_an_invalid_user_id_is_rejected(id_: object) -> None:
    with pytest.raises(ValidationError) as found:
        UserUpdate.model_validate({"id": id_})

    assert not isinstance(id_, str) or not USER_ID.fullmatch(id_)
    assert [problem.field for problem in problems_of(found.value)] == ["id"]


@pytest.mark.parametrize("id_", ["a", "x" * 256, "é", "\ud7ff", "\ue000", "\U0010ffff", " ", "a\nb", "\x7f"])
def test_a_valid_user_id_is_taken_as_it_is(id_: str) -> None:
    assert USER_ID.fullmatch(id_)
    assert UserUpdate(id=id_).id == id_


@given(name=st.sampled_from(sorted(ATTRIBUTES)), value=st.text("@+-_19enGBZ. \n\t\x00\x1b\x7f\x85é€", max_size=80))
def test_what_common_values_look_like_changes_no_verdict(name: str, value: str) -> None:
    assert not is_common(name, value) or attribute_problem(name, value) is None
