"""The laws of deep merge (rule 12), and of what is inherited (rules 12 and 13)."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.support.conflicting_jobs import nested
from tests.support.example_counts import examples

from rollbook_shared.domain.merge import Profile, deep_merge, merge_profiles
from rollbook_shared.domain.profile_sections import TRAIT_KEYS, flat_profile, profile_of

_objects = st.dictionaries(st.sampled_from("pqr"), nested, max_size=3)
_only_objects: st.SearchStrategy[Any] = st.recursive(
    st.just({}), lambda inner: st.dictionaries(st.sampled_from("pqr"), inner, max_size=3), max_leaves=5
)


@examples(100)
@given(_objects)
def test_merging_with_nothing_or_itself_changes_nothing(a: dict[str, Any]) -> None:
    assert deep_merge(a, {}) == deep_merge({}, a) == deep_merge(a, a) == a


@examples(150)
@given(_objects, _objects)
def test_the_primary_wins_and_every_key_of_the_secondary_is_there(
    primary: dict[str, Any], secondary: dict[str, Any]
) -> None:
    merged = deep_merge(primary, secondary)

    assert merged.keys() == primary.keys() | secondary.keys()
    for key, value in merged.items():
        mine, theirs = primary.get(key), secondary.get(key)
        if key not in primary:
            assert value == theirs
        elif isinstance(mine, dict) and isinstance(theirs, dict):
            assert value == deep_merge(mine, theirs)
        else:
            assert value == mine


@examples(150)
@given(_objects, _objects)
def test_merging_again_changes_nothing(primary: dict[str, Any], secondary: dict[str, Any]) -> None:
    merged = deep_merge(primary, secondary)

    assert deep_merge(merged, secondary) == deep_merge(primary, merged) == merged


@examples(100)
@given(_only_objects, _only_objects, _only_objects)
def test_merging_is_associative_for_objects(a: Any, b: Any, c: Any) -> None:
    objects = [x for x in (a, b, c) if isinstance(x, dict)]
    assert len(objects) == 3

    assert deep_merge(deep_merge(a, b), c) == deep_merge(a, deep_merge(b, c))


def test_merging_is_not_associative_for_objects_and_values() -> None:
    a: dict[str, Any] = {"p": {}}
    b: dict[str, Any] = {"p": None}
    c: dict[str, Any] = {"p": {"p": None}}

    assert deep_merge(deep_merge(a, b), c) == {"p": {"p": None}}
    assert deep_merge(a, deep_merge(b, c)) == {"p": {}}


@examples(100)
@given(_objects, _objects)
def test_a_merge_changes_neither_argument(a: dict[str, Any], b: dict[str, Any]) -> None:
    before = copy.deepcopy((a, b))

    merge_profiles(Profile(properties=a, preferences=a), Profile(properties=b, preferences=b))

    assert (a, b) == before


def test_attributes_are_filled_and_sets_and_channels_added_whole() -> None:
    primary = Profile(
        attributes={"name": "", "email": None},
        preferences={"default": {"workflows": {"x": True}}},
        channel_data={"push": {"tokens": []}},
    )
    secondary = Profile(
        attributes={"name": "Bo", "email": "bo@example.com", "locale": None},
        preferences={"default": {"categories": {"y": True}}, "t1": {}},
        channel_data={"push": {"tokens": ["y"], "more": 1}, "chat": {}},
    )

    primary_id = merge_profiles(primary, secondary)

    assert primary_id.attributes == {"name": "", "email": "bo@example.com", "locale": None}
    assert primary_id.preferences == {"default": {"workflows": {"x": True}}, "t1": {}}
    assert primary_id.channel_data == {"push": {"tokens": []}, "chat": {}}


@examples(100)
@given(_objects, _objects, _objects)
def test_a_profile_equals_the_one_that_was_stored(
    properties: dict[str, Any], preferences: dict[str, Any], channel_data: dict[str, Any]
) -> None:
    profile = Profile(
        attributes={"email": None, "name": "Ann"},
        properties=properties,
        preferences={key: {"workflows": value} for key, value in preferences.items()},
        channel_data={key: {"tokens": value} for key, value in channel_data.items()},
    )

    assert profile_of(flat_profile(profile)) == profile


def test_removed_sets_and_channels_are_not_in_the_profile_but_null_traits_are() -> None:
    assert profile_of({"s.default": None, "c.push": None, "p.plan": None, "a.email": None}) == Profile(
        properties={"plan": None}, attributes={"email": None}
    )


def test_trait_keys_distinguish_attributes_and_properties() -> None:
    assert tuple(TRAIT_KEYS[name] for name in ("email", "plan", "a.email")) == ("a.email", "p.plan", "p.a.email")
