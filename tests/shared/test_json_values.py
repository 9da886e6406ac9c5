"""Which values are accepted (rule 2): those that Postgres stores and every language reads back unchanged."""

from __future__ import annotations

import enum
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from tests.support.arbitrary_jobs import values
from tests.support.builders import identify
from tests.support.example_counts import examples

from rollbook_shared.jobs.codec import decode, encode
from rollbook_shared.json_values import find_value_problem, is_storable, printable
from rollbook_shared.limits import NESTING, NUMBER_BITS


def _nested(levels: int, inside: Any = 1, *, objects: bool = True) -> Any:
    for _ in range(levels):
        inside = {"k": inside} if objects else [inside]
    return inside


class _Plan(enum.StrEnum):
    PRO = "pro"
    BAD = "\0"


class _Size(enum.IntEnum):
    LARGE = 3


class _Colour(enum.Enum):
    RED = "red"


@examples(300)
@given(values)
def test_a_storable_value_is_accepted(value: Any) -> None:
    assert find_value_problem(value, "") is None


@examples(300)
@given(values)
def test_is_storable_accepts_no_value_with_a_problem(value: Any) -> None:
    for spoilt in (value, "\0", "\ud800", float("inf"), 1 << NUMBER_BITS, {1: 1}, {"\udc00": 1}, (1,), b"", _Plan.BAD):
        for container in ({"k": spoilt}, [spoilt], {"k": [{"l": spoilt}]}, {"\0": value}):
            assert not is_storable(container) or find_value_problem(container, "") is None


@pytest.mark.parametrize("value", ["é", "", 1, -1.5, True, None, [], {"": [{}]}, _nested(30)], ids=ascii)
def test_is_storable_accepts_common_values(value: Any) -> None:
    assert is_storable({"k": value})
    assert is_storable([value])


@pytest.mark.parametrize("levels", [NESTING - 1, NESTING, NESTING + 1])
def test_is_storable_counts_levels_like_find_value_problem(levels: int) -> None:
    value = _nested(levels)

    assert is_storable(value) == (find_value_problem(value, "") is None)


@pytest.mark.parametrize(("objects", "branch"), [(True, "data.k"), (False, "data[0]")], ids=["objects", "lists"])
def test_32_levels_are_accepted_and_33_rejected_with_the_branch(objects: bool, branch: str) -> None:
    assert NESTING == 32
    assert find_value_problem(_nested(32, objects=objects), "") is None
    assert find_value_problem(_nested(33, objects=objects), "data") == (branch, "is nested deeper than 32 levels")


def test_the_limit_of_nesting_counts_the_empty_innermost_object() -> None:
    assert find_value_problem(_nested(31, {}), "") is None
    assert find_value_problem(_nested(32, {}), "") is not None


def test_a_cyclic_value_is_rejected_at_once() -> None:
    assert find_value_problem(_nested(100_000), "") is not None


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("a\0b", "holds a NUL character"),
        ("é\0", "holds a NUL character"),
        ("\ud83d", "holds a lone surrogate"),
        (float("nan"), "is not a finite number"),
        (float("inf"), "is not a finite number"),
        (float("-inf"), "is not a finite number"),
        (1 << NUMBER_BITS, "is a number too large to keep"),
        (-(1 << NUMBER_BITS), "is a number too large to keep"),
        (b"bytes", "is not a JSON value (bytes)"),
        ({1}, "is not a JSON value (set)"),
        (Decimal(1), "is not a JSON value (Decimal)"),
        (_Colour.RED, "is not a JSON value (_Colour)"),
        (_Plan.BAD, "holds a NUL character"),
    ],
    ids=repr,
)
def test_an_unstorable_value_is_rejected_at_every_place(value: object, problem: str) -> None:
    assert find_value_problem(value, "k") == ("k", problem)
    assert find_value_problem({"a": [0, {"b": value}]}, "") == (".a[1].b", problem)


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        (1, "has a key that is not a string"),
        (None, "has a key that is not a string"),
        ("a\0b", "has a key that holds a NUL character"),
        ("\udc00", "has a key that holds a lone surrogate"),
    ],
    ids=repr,
)
def test_unstorable_keys_are_rejected(key: object, problem: str) -> None:
    assert find_value_problem({key: 1}, "") == ("", problem)
    assert find_value_problem({"a": {key: 1}}, "") == (".a", problem)


@pytest.mark.parametrize(
    "value", ["\U0001f600", "\x01", "", (1 << NUMBER_BITS) - 1, 5e-324, 1.7976931348623157e308, {"": 0}], ids=repr
)
def test_unusual_storable_values_are_accepted(value: object) -> None:
    assert find_value_problem({"k": value}, "") is None


def test_an_enum_of_text_or_numbers_is_written_as_its_value() -> None:
    job = identify("a", plan=_Plan.PRO, size=_Size.LARGE, at=1)

    assert '"plan":"pro","size":3' in encode(job)
    assert decode(encode(job)) == job


def test_printable_escapes_control_characters() -> None:
    assert printable("a\0\t\n\x1b[2J\x7f\x9b\ud800é 🎈") == r"a\0\t\n\x1b[2J\x7f\x9b\ud800é 🎈"
