"""The result of merging two users (rules 12, 13, 15 and 17)."""

from __future__ import annotations

from typing import Final

from tests.support.builders import (
    delete,
    identify,
    merge,
    set_channel_data,
    set_preferences,
    trigger,
    unset_channel_data,
    unset_preferences,
)
from tests.support.rule_case import Case, case

MERGING: Final[tuple[Case, ...]] = (
    case(
        "rule 12: where both have a value the primary's wins",
        [identify("a", plan="pro", at=1), identify("b", plan="free", seats=2, at=2), merge("a", "b", at=3)],
        users={"a": {"plan": "pro", "seats": 2}},
        updated={"a": "merge:a-b:3"},
    ),
    case(
        "rule 12: objects are merged at every depth",
        [
            identify("a", team={"name": "x", "rights": {"read": True}}, at=1),
            identify("b", team={"name": "y", "size": 3, "rights": {"read": False, "write": True}}, at=2),
            merge("a", "b", at=3),
        ],
        users={"a": {"team": {"name": "x", "size": 3, "rights": {"read": True, "write": True}}}},
    ),
    case(
        "rule 12: null is a value, and the primary's wins",
        [
            identify("a", plan=None, team={"x": None}, at=1),
            identify("b", plan="pro", team={"x": 1}, at=2),
            merge("a", "b", at=3),
        ],
        users={"a": {"plan": None, "team": {"x": None}}},
    ),
    case(
        "rule 12: null of the secondary fills a key that the primary lacks",
        [identify("a", at=1), identify("b", plan=None, at=2), merge("a", "b", at=3)],
        users={"a": {"plan": None}},
    ),
    case(
        "rule 12: an object and a plain value are not merged, the primary's wins either way",
        [identify("a", one={"x": 1}, two=2, at=1), identify("b", one=1, two={"x": 2}, at=2), merge("a", "b", at=3)],
        users={"a": {"one": {"x": 1}, "two": 2}},
    ),
    case(
        "rule 12: lists are values",
        [
            identify("a", tags=["x"], empty=[], at=1),
            identify("b", tags=["y"], empty=["z"], at=2),
            merge("a", "b", at=3),
        ],
        users={"a": {"tags": ["x"], "empty": []}},
    ),
    case(
        "rule 12: attributes are filled only where the primary has none",
        [
            identify("a", name="", email=None, at=1),
            identify("b", name="Bo", email="bo@example.com", locale="en-GB", at=2),
            merge("a", "b", at=3),
        ],
        attributes={"a": {"name": "", "email": "bo@example.com", "locale": "en-GB"}},
    ),
    case(
        "rule 12: merging three users goes pair by pair in the order of the stamps",
        [
            identify("a", p={}, at=1),
            identify("b", p=None, at=1),
            identify("c", p={"x": 1}, at=1),
            merge("b", "c", at=2),
            merge("a", "b", at=3),
        ],
        users={"a": {"p": {}}},
    ),
    case(
        "rule 13: a preference set that the primary lacks is added whole, one that it has stays as it is",
        [
            set_preferences("a", "default", {"workflows": {"digest": False}}, at=1),
            set_preferences("b", "default", {"channel_types": {"sms": False}}, at=2),
            set_preferences("b", "t1", {"workflows": {"digest": True}}, at=2),
            merge("a", "b", at=3),
        ],
        preferences={"a": {"default": {"workflows": {"digest": False}}, "t1": {"workflows": {"digest": True}}}},
    ),
    case(
        "rule 13: channel data that the primary lacks is added whole, what it has stays as it is",
        [
            set_channel_data("a", "push", {"tokens": ["x"]}, at=1),
            set_channel_data("b", "push", {"tokens": ["y"], "more": 1}, at=2),
            set_channel_data("b", "chat", {"connections": [1]}, at=2),
            merge("a", "b", at=3),
        ],
        channel_data={"a": {"push": {"tokens": ["x"]}, "chat": {"connections": [1]}}},
    ),
    case(
        "rule 13: a set that was taken from the primary is one that it lacks",
        [
            identify("a", preferences={"default": {"workflows": {"x": True}}}, at=1),
            unset_preferences("a", "default", at=2),
            identify("b", preferences={"default": {}}, at=1),
            merge("a", "b", at=3),
        ],
        preferences={"a": {"default": {}}},
    ),
    case(
        "rule 13: what was taken from the secondary does not come along",
        [
            identify("a", at=1),
            identify("b", channel_data={"push": {}}, at=1),
            unset_channel_data("b", "push", at=2),
            merge("a", "b", at=3),
        ],
        channel_data={},
    ),
    case(
        "rule 15: the secondary ceases, and its id says what it was merged into",
        [identify("a", at=1), identify("b", at=1), merge("a", "b", at=2)],
        users={"a": {}},
        merged={"b": "a"},
    ),
    case(
        "rule 17: a merge is known before either side is",
        [merge("a", "b", at=3), identify("b", plan="free", seats=2, at=2), identify("a", plan="pro", at=1)],
        users={"a": {"plan": "pro", "seats": 2}},
    ),
    case(
        "rule 17: a primary that is not known comes to be with what it inherits",
        [identify("b", plan="free", at=1), merge("a", "b", at=2, job="it")],
        users={"a": {"plan": "free"}},
        merged={"b": "a"},
        updated={"a": "it"},
    ),
    case(
        "rule 17: of a secondary that is not known only the redirect is recorded",
        [identify("a", plan="pro", at=1, job="last"), merge("a", "b", at=2)],
        users={"a": {"plan": "pro"}},
        merged={"b": "a"},
        updated={"a": "last"},
    ),
    case(
        "rule 17: two unknown users merged are still unknown",
        [merge("a", "b", at=1), trigger("hello", ["a", "b"], at=2)],
        users={},
        merged={"b": "a"},
        feeds={},
    ),
    case(
        "rule 17: a secondary identified only after the merge is the primary from the start",
        [merge("a", "b", at=1), identify("b", plan="pro", at=2)],
        users={"a": {"plan": "pro"}},
    ),
    case(
        "rule 17: merging into a deleted user starts that user anew",
        [
            identify("a", plan="pro", at=1),
            identify("b", seats=2, at=1),
            delete("a", at=2),
            merge("a", "b", at=3),
        ],
        users={"a": {"seats": 2}},
    ),
    case(
        "rule 17: a secondary that was deleted before has nothing to give",
        [
            identify("a", plan="pro", at=1),
            identify("b", seats=2, at=1),
            delete("b", at=2),
            merge("a", "b", at=3),
        ],
        users={"a": {"plan": "pro"}},
        merged={"b": "a"},
    ),
    case(
        "rule 17: a chain ends in its head when the head's merge is the earlier",
        [
            identify("a", x=1, at=1),
            identify("b", x=2, y=2, at=1),
            identify("c", x=3, y=3, z=3, at=1),
            merge("a", "b", at=2),
            merge("b", "c", at=3),
        ],
        users={"a": {"x": 1, "y": 2, "z": 3}},
        merged={"b": "a", "c": "a"},
    ),
    case(
        "rule 17: a chain ends in its head when the head's merge is the later",
        [
            identify("a", x=1, at=1),
            identify("b", x=2, y=2, at=1),
            identify("c", x=3, y=3, z=3, at=1),
            merge("a", "b", at=3),
            merge("b", "c", at=2),
        ],
        users={"a": {"x": 1, "y": 2, "z": 3}},
        merged={"b": "a", "c": "a"},
    ),
    case(
        "rule 17: a long chain of unknown users ends in its head",
        [merge("a", "b", at=4), merge("b", "c", at=2), merge("c", "d", at=3), identify("d", plan="pro", at=5)],
        users={"a": {"plan": "pro"}},
        merged={"b": "a", "c": "a", "d": "a"},
    ),
    case(
        "rule 17: of a cycle the earlier merge wins, the later does nothing",
        [
            identify("a", plan="pro", at=1),
            identify("b", plan="free", at=1),
            merge("a", "b", at=2),
            merge("b", "a", at=3),
        ],
        users={"a": {"plan": "pro"}},
        merged={"b": "a"},
        updated={"a": "merge:a-b:2"},
    ),
    case(
        "rule 17: of a cycle at one time the merge with the smaller id wins",
        [
            identify("a", plan="pro", at=1),
            identify("b", plan="free", at=1),
            merge("a", "b", at=2, job="2"),
            merge("b", "a", at=2, job="1"),
        ],
        users={"b": {"plan": "free"}},
        merged={"a": "b"},
    ),
    case(
        "rule 17: of a cycle of three the last does nothing",
        [
            identify("a", plan="pro", at=1),
            merge("a", "b", at=2),
            merge("b", "c", at=3),
            merge("c", "a", at=4),
        ],
        users={"a": {"plan": "pro"}},
        merged={"b": "a", "c": "a"},
    ),
    case(
        "rule 17: a merge is irreversible, identifying the secondary does not undo it",
        [identify("a", at=1), identify("b", at=1), merge("a", "b", at=2), identify("b", back=True, at=3)],
        users={"a": {"back": True}},
        merged={"b": "a"},
    ),
    case(
        "rule 17: merging twice is merging once",
        [
            identify("a", plan="pro", at=1),
            identify("b", plan="free", at=1),
            merge("a", "b", at=2),
            merge("a", "b", at=9),
        ],
        users={"a": {"plan": "pro"}},
        updated={"a": "merge:a-b:2"},
    ),
    case(
        "rule 17: of two merges of one secondary the earlier stands",
        [
            identify("a", at=1),
            identify("b", plan="pro", at=1),
            identify("c", at=1),
            merge("c", "b", at=3),
            merge("a", "b", at=2),
        ],
        users={"a": {"plan": "pro"}, "c": {}},
        merged={"b": "a"},
    ),
)
