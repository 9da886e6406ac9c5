"""Users of parsed jobs that need no closer look: checked in one pass, with the result that validation has."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.support.arbitrary_jobs import GOOD_ATTRIBUTES, keys, storable_text, user_ids, user_updates, values
from tests.support.example_counts import examples

from rollbook_shared.domain.attributes import RESERVED
from rollbook_shared.domain.profile_sections import TRAIT_KEYS
from rollbook_shared.errors import Problem
from rollbook_shared.jobs.codec import decode, encode
from rollbook_shared.jobs.fields import ParsedJson
from rollbook_shared.jobs.models import BulkIdentify, Identify, UserUpdate
from rollbook_shared.jobs.plain_users import MAX_NAMES, PlainUsers
from rollbook_shared.json_values import encode_json

PLAIN: Final[dict[str, Any]] = {"id": "ann", "traits": {"plan": "pro"}, "preferences": {}, "channel_data": {}}
_NESTED: Final = json.loads("[" * 40 + "]" * 40)

_attributes: Final = st.dictionaries(st.sampled_from(sorted(GOOD_ATTRIBUTES)), storable_text | st.none() | values)
_traits: Final = st.builds(
    lambda *parts: {name: value for part in parts for name, value in part.items()},
    st.dictionaries(storable_text | st.sampled_from(sorted(RESERVED)), values, max_size=4),
    _attributes | st.fixed_dictionaries({name: st.sampled_from(good) for name, good in GOOD_ATTRIBUTES.items()}),
)
_objects: Final[st.SearchStrategy[Any]] = st.just({}) | st.dictionaries(keys, values, max_size=2) | values
_users: Final = st.fixed_dictionaries(
    {"id": user_ids | values, "traits": _traits | values},
    optional={"preferences": _objects, "channel_data": _objects, "unknown": values},
)


@examples(300)
@given(st.lists(_users | st.builds(dict, st.just(PLAIN), id=user_ids, traits=_traits), min_size=1, max_size=3))
def test_users_are_what_validation_makes_of_them(users: list[Any]) -> None:
    looked_at, validated = (_validated(users, texts_are_storable) for texts_are_storable in (True, False))

    assert looked_at == validated


@examples(300)
@given(
    st.lists(user_updates.filter(lambda user: not (user.get("preferences") or user.get("channel_data"))), min_size=1)
)
def test_valid_users_with_traits_alone_are_plain_and_have_the_profiles_that_are_stored(users: list[Any]) -> None:
    users = [PLAIN | {"traits": {}} | user for user in users]

    plain = _validated(users, texts_are_storable=True).users

    assert isinstance(plain, PlainUsers) or any(_has_large_integers(user["traits"]) for user in users)
    if isinstance(plain, PlainUsers):
        assert list(plain.ids) == [user["id"] for user in users]
        stored = [{TRAIT_KEYS[name]: value for name, value in user["traits"].items()} for user in users]
        assert list(plain.profiles) == [encode_json(profile) for profile in stored]


@examples(300)
@given(_users | st.builds(dict, st.just(PLAIN), id=user_ids, traits=_traits))
def test_the_user_of_an_identify_is_what_validation_makes_of_it(user: Any) -> None:
    looked_at, validated = (_identified(user, texts_are_storable) for texts_are_storable in (True, False))

    assert looked_at == validated


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"id": "a/b"}, id="an id with a slash"),
        pytest.param({"id": "a#b"}, id="an id with a number sign"),
        pytest.param({"id": ""}, id="an empty id"),
        pytest.param({"id": "x" * 257}, id="a long id"),
        pytest.param({"id": 7}, id="an id that is no text"),
        pytest.param({"traits": []}, id="traits that are no object"),
        pytest.param({"traits": {"email": "no address"}}, id="an attribute that is none"),
        pytest.param({"traits": {"email": "a@b\n"}}, id="an attribute with a line break"),
        pytest.param({"traits": {"email": "a@b\nc@d"}}, id="an attribute of two lines"),
        pytest.param({"traits": {"name": "x" * 1_001}}, id="a long attribute"),
        pytest.param({"traits": {"updated_at": "now"}}, id="a reserved name"),
        pytest.param({"traits": {"id": None}}, id="a reserved name without a value"),
        pytest.param({"traits": {"score": 1 << 1025}}, id="a large number"),
        pytest.param({"traits": {"score": float("inf")}}, id="an infinite number"),
        pytest.param({"traits": {"deep": [{"scores": [float("inf")]}]}}, id="an infinite number within others"),
        pytest.param({"traits": {"deep": _NESTED}}, id="deep nesting"),
        pytest.param({"traits": {"timezone": "Mars/Base"}}, id="a time zone that is none"),
        pytest.param({"traits": {"email": ["a@b"]}}, id="an attribute that is a list"),
        pytest.param({"preferences": []}, id="preferences that are no object"),
        pytest.param({"channel_data": []}, id="channel data that are no object"),
        pytest.param({"preferences": {"default": {"workflows": 1}}}, id="preferences that are none"),
        pytest.param({"channel_data": {"": {}}}, id="channel data without a channel"),
        pytest.param({"more": 1}, id="an unknown field"),
    ],
)
def test_a_user_that_is_invalid_is_rejected_and_others_are_not(change: dict[str, Any]) -> None:
    job = _validated([PLAIN, PLAIN | change], texts_are_storable=True)

    assert job.users[0] == UserUpdate(id="ann", traits={"plan": "pro"})
    assert isinstance(job.users[1], Problem)


@pytest.mark.parametrize("levels", [30, 31, 32])
def test_traits_are_plain_as_deep_as_they_may_be(levels: int) -> None:
    """With the object that the traits are, 32 levels."""
    value = json.loads("[" * levels + "]" * levels)

    (user,) = _validated([PLAIN | {"traits": {"deep": value}}], texts_are_storable=True).users

    assert isinstance(user, Problem) == (levels == 32)


def test_users_with_many_different_traits_are_valid() -> None:
    users = [PLAIN | {"id": f"u{number}", "traits": {f"key{number}": number}} for number in range(MAX_NAMES + 1)]

    for count in (MAX_NAMES, MAX_NAMES + 1):
        job = _validated(users[:count], texts_are_storable=True)
        assert job.users == tuple(UserUpdate(**user) for user in users[:count])


def test_texts_that_look_like_json_stay_what_they_are() -> None:
    texts = [',"\\u0000",', '"},{"', "null", "/", "\\", '"']
    users = [PLAIN | {"id": f"u{number}", "traits": {text: text}} for number, text in enumerate(texts)]

    job = _validated(users, texts_are_storable=True)

    assert isinstance(job.users, PlainUsers)
    assert [user.traits for user in job.users] == [{text: text} for text in texts]


def test_plain_users_are_a_sequence_of_users() -> None:
    job = BulkIdentify(id="j", occurred_at=1, users=tuple(UserUpdate(id=id_, traits={"plan": id_}) for id_ in "abc"))

    decoded = decode(encode(job))

    assert isinstance(decoded, BulkIdentify)
    assert isinstance(decoded.users, PlainUsers)
    assert decoded == job
    assert job == decoded
    assert decoded != job.model_copy(update={"users": job.users[:2]})
    assert encode(decoded) == encode(job)
    assert (decoded.user_ids, decoded.problems) == (("a", "b", "c"), [])
    assert decoded.users[-1] == job.users[2]
    assert decoded.users[1:] == job.users[1:]
    assert repr(decoded) == repr(job)


def test_a_plain_user_is_as_any_other() -> None:
    job = BulkIdentify(id="j", occurred_at=1, users=(UserUpdate(id="ann", traits={"plan": "pro"}),))

    (user,) = decode(encode(job)).users  # type: ignore[union-attr]
    other = UserUpdate(**PLAIN)

    assert user == other
    assert isinstance(user, UserUpdate)
    assert repr(user) == repr(other)
    assert user.model_dump() == other.model_dump()
    assert user.model_fields_set == other.model_fields_set
    assert user.model_copy(update={"id": "bo"}) == UserUpdate(**PLAIN | {"id": "bo"})
    with pytest.raises(ValueError, match="frozen"):
        user.id = "bo"  # type: ignore[misc]


def _has_large_integers(value: Any) -> bool:
    match value:
        case dict():
            return any(map(_has_large_integers, value.values()))
        case list():
            return any(map(_has_large_integers, value))
        case int():
            return not -(1 << 63) <= value < 1 << 64
        case _:
            return False


def _identified(user: Any, texts_are_storable: bool) -> Identify | None:
    """The job; None if it is invalid."""
    fields = {"id": "j", "occurred_at": 1, "kind": "identify", "user": user}
    try:
        return Identify.model_validate(fields, context=ParsedJson(texts_are_storable=texts_are_storable))
    except ValidationError:
        return None


def _validated(users: list[Any], texts_are_storable: bool) -> BulkIdentify:
    fields = {"id": "j", "occurred_at": 1, "kind": "bulk_identify", "users": users}
    return BulkIdentify.model_validate(fields, context=ParsedJson(texts_are_storable=texts_are_storable))
