"""User updates that need no closer look: they are what validation makes of them, and nothing else is taken for one."""

from __future__ import annotations

import dataclasses
import enum
import json
import uuid
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.support.arbitrary_jobs import GOOD_ATTRIBUTES, junk, storable_text, user_ids, values
from tests.support.example_counts import examples

from rollbook import Limits
from rollbook.commands.plain_updates import encode_plain_update, plain_update
from rollbook_shared.domain.attributes import ATTRIBUTES, RESERVED
from rollbook_shared.jobs import UserUpdate, encode_user
from rollbook_shared.limits import MistakenIds

LIMITS: Final = Limits()
_good_attributes: Final = st.fixed_dictionaries(
    {}, optional={name: st.none() | st.sampled_from(good) for name, good in GOOD_ATTRIBUTES.items()}
)
_any_traits: Final = st.builds(
    lambda *parts: {name: value for part in parts for name, value in part.items()},
    st.dictionaries(st.text(max_size=4) | st.sampled_from(sorted(RESERVED)), junk, max_size=3),
    st.dictionaries(st.sampled_from(sorted(ATTRIBUTES)), junk | storable_text),
    _good_attributes,
)


class Color(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 2


class Word(str):
    __slots__ = ()


class Table(dict[str, Any]):
    pass


@dataclasses.dataclass
class Point:
    x: int = 1


UNUSUAL: Final = (
    Color.RED,
    Level.HIGH,
    Word("word"),
    Table(a=1),
    Point(),
    (1, 2),
    {1},
    b"bytes",
    uuid.UUID(int=7),
    datetime(2026, 1, 1, tzinfo=UTC),
    float("nan"),
    float("-inf"),
    1 << 64,
    "\0",
    "\ud800",
    {7: "seven"},
    {Word("key"): 1},
    {"\0": 1},
    {"\ud800": 1},
    json.loads("[" * 32 + "]" * 32),
)


@examples(500)
@given(user_ids | st.text(max_size=4) | junk, _any_traits | junk)
def test_a_plain_update_is_what_validation_makes_of_it(user_id: Any, traits: Any) -> None:
    text = encode_plain_update(user_id, traits, LIMITS)

    try:
        validated = UserUpdate.model_validate({"id": user_id, "traits": traits})
    except ValidationError:
        assert text is None
        return
    if text is not None:
        update = plain_update(user_id, traits, LIMITS)
        assert text == encode_user(validated)
        assert update == validated
        assert repr(update) == repr(validated)  # 1, 1.0 and True are equal


@examples(300)
@given(user_ids, _good_attributes, st.dictionaries(storable_text, values, max_size=4))
def test_nearly_all_valid_updates_are_plain(
    user_id: str, attributes: dict[str, Any], properties: dict[str, Any]
) -> None:
    traits = {**{name: value for name, value in properties.items() if name not in ATTRIBUTES | RESERVED}, **attributes}

    text = encode_plain_update(user_id, traits, LIMITS)

    assert text is not None or _has_large_integers(traits) or "\\u0000" in str(traits)


@pytest.mark.parametrize("value", UNUSUAL, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("place", ["trait", "in an object", "in a list"])
def test_an_unusual_value_is_looked_at_closely(place: str, value: Any) -> None:
    traits = {"key": {"trait": value, "in an object": {"a": {"b": value}}, "in a list": [[value]]}[place]}

    assert encode_plain_update("ann", traits, LIMITS) is None


@pytest.mark.parametrize("name", sorted(RESERVED))
@pytest.mark.parametrize("value", [None, "ann", {}])
def test_a_reserved_name_is_looked_at_closely(name: str, value: object) -> None:
    assert encode_plain_update("ann", {name: value}, LIMITS) is None


@pytest.mark.parametrize("limit", ["max_properties_bytes", "max_data_bytes", "max_user_bytes"])
def test_an_update_larger_than_any_part_may_be_is_looked_at_closely(limit: str) -> None:
    text = encode_plain_update("ann", {"plan": "pro"}, LIMITS) or b""

    for size, expected in ((len(text), text), (len(text) - 1, None)):
        limits = dataclasses.replace(LIMITS, **{limit: size})  # type: ignore[arg-type]
        assert encode_plain_update("ann", {"plan": "pro"}, limits) == expected


def test_a_mistaken_id_is_looked_at_closely_where_the_limits_say_so() -> None:
    strict = Limits(mistaken_ids=MistakenIds.REJECT)

    assert encode_plain_update("None", {}, LIMITS) is not None
    assert encode_plain_update("None", {}, strict) is None
    assert encode_plain_update("ann", {}, strict) is not None


def test_a_change_of_the_callers_objects_changes_no_update() -> None:
    traits: dict[str, Any] = {"tags": ["a"], "address": {"city": "Bern"}}

    update = plain_update("ann", traits, LIMITS)
    traits["tags"].append("b")
    traits["address"]["city"] = "Basel"

    assert update == UserUpdate(id="ann", traits={"tags": ["a"], "address": {"city": "Bern"}})


def _has_large_integers(value: object) -> bool:
    if isinstance(value, dict):
        return any(map(_has_large_integers, value.values()))
    if isinstance(value, list):
        return any(map(_has_large_integers, value))
    return type(value) is int and not -(1 << 63) < value < 1 << 63
