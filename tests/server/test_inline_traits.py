"""Preference sets, channel data and devices within the traits of a user: what is taken over, and what is rejected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rollbook_server.api.inline_traits import convert_traits, convert_users
from rollbook_server.api.push_devices import devices_as_tokens
from rollbook_server.http.errors import ApiError
from rollbook_shared.errors import Problem

MERGED = {"__persistence_strategy__": "merge", "workflows": {"digest": False}}


def rejected(convert: Callable[[], Any]) -> list[tuple[str, int | None]]:
    """The field and index of each problem."""
    with pytest.raises(ApiError) as caught:
        convert()
    assert caught.value.status == 422
    return [(problem.field, problem.index) for problem in caught.value.problems]


def test_preference_sets_are_in_rollbooks_words_and_other_traits_are_as_they_were() -> None:
    traits = {"name": "Ann", "preferences": {"default": {"workflows": {"digest": False}}}, "plan": {"seats": 2}}

    assert convert_traits(traits) == traits


def test_a_set_that_is_to_be_merged_is_rejected() -> None:
    with pytest.raises(ApiError, match="PUT the preference set itself to merge") as caught:
        convert_traits({"preferences": {"acme": MERGED}})

    assert [problem.field for problem in caught.value.problems] == ["preferences.acme.__persistence_strategy__"]


def test_a_set_that_is_to_be_replaced_is_taken() -> None:
    replaced = {**MERGED, "__persistence_strategy__": "replace"}

    assert convert_traits({"preferences": {"acme": replaced}})["preferences"] == {
        "acme": {"workflows": {"digest": False}}
    }


def test_the_problems_of_all_users_are_named_with_their_index() -> None:
    users = [
        {"id": "ann", "preferences": {"default": MERGED}},
        "bo",
        {"id": "cy", "channel_data": {"push": {"devices": [{"token": "t"}, {"locale": "de"}]}}},
    ]

    assert rejected(lambda: convert_users(users, name="recipients")) == [
        ("recipients[0].preferences.default.__persistence_strategy__", 0),
        ("recipients[2].channel_data.push.devices[1].token", 2),
    ]


def test_what_is_no_object_stays_as_it_is() -> None:
    assert convert_users(["bo", 7, None], name="users") == ["bo", 7, None]
    assert convert_traits({"preferences": 7, "channel_data": [1]}) == {"preferences": 7, "channel_data": [1]}


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        ({"devices": [{"token": "a", "locale": "de"}, {"token": "b"}]}, ["a", "b"]),
        ({"devices": [{"token": "a"}], "tokens": ["b"]}, ["b"]),
        ({"devices": []}, []),
        ({"devices": {"token": "a"}}, None),
        ({"connections": []}, None),
    ],
    ids=["devices", "tokens beside devices", "no device", "no list", "a chat"],
)
def test_the_tokens_of_devices_are_the_channels_unless_it_names_tokens(data: Any, wanted: list[str] | None) -> None:
    problems: list[Problem] = []

    assert devices_as_tokens(data, "data", problems).get("tokens") == wanted
    assert problems == []


@pytest.mark.parametrize("device", [{}, {"token": 7}, {"token": None}, "a", None])
def test_a_device_without_a_token_is_a_problem(device: Any) -> None:
    problems: list[Problem] = []
    devices_as_tokens({"devices": [{"token": "a"}, device]}, "data", problems)

    assert [problem.field for problem in problems] == ["data.devices[1].token"]
