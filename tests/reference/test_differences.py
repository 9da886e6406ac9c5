"""The first difference of two worlds, described for people."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from tests.support.builders import identify, merge, trigger

from rollbook_shared.reference.oracle import oracle
from rollbook_shared.reference.world import World, first_difference


@pytest.fixture
def world() -> World:
    return oracle(
        [
            identify("a", team={"name": "x", "size": [1, 2]}, at=1),
            trigger("hello", ["a"], at=2),
            merge("a", "b", at=3),
        ]
    )


def test_equal_worlds_have_no_difference(world: World) -> None:
    assert first_difference(world, copy.deepcopy(world)) is None


@pytest.mark.parametrize(
    ("value", "difference"),
    [
        ({"name": "y", "size": [1, 2]}, "users['a']['properties']['team']['name']: 'x' != 'y'"),
        ({"size": [1, 2]}, "users['a']['properties']['team']['name']: 'x' != nothing"),
        ({"name": "x", "size": [1, 3]}, "users['a']['properties']['team']['size'][1]: 2 != 3"),
        ({"name": "x", "size": [1]}, "users['a']['properties']['team']['size']: [1, 2] != [1]"),
        ({"name": "x", "size": [True, 2]}, "users['a']['properties']['team']['size'][0]: 1 != True"),
        ({"name": None, "size": [1, 2]}, "users['a']['properties']['team']['name']: 'x' != None"),
    ],
    ids=["value", "missing", "in a list", "length", "true is not 1", "null"],
)
def test_a_difference_names_its_path(world: World, value: Any, difference: str) -> None:
    other = copy.deepcopy(world)
    other["users"]["a"]["properties"]["team"] = value

    assert first_difference(world, other) == difference


def test_a_missing_user_is_a_difference(world: World) -> None:
    other = copy.deepcopy(world)
    del other["merged"]["b"]

    assert first_difference(other, world) == "merged['b']: nothing != 'a'"
