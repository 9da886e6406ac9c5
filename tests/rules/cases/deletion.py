"""Deleting users (rules 7 to 10)."""

from __future__ import annotations

from typing import Final

from tests.support.builders import (
    bulk_delete,
    delete,
    identify,
    set_channel_data,
    set_preferences,
    trigger,
    unset_channel_data,
    unset_preferences,
    user,
)
from tests.support.rule_case import MISSING, Case, case

DELETING: Final[tuple[Case, ...]] = (
    case(
        "rule 7: delete takes the user away with preferences and channel data",
        [
            identify("a", plan="pro", at=1),
            set_preferences("a", "default", {"workflows": {"digest": False}}, at=2),
            set_channel_data("a", "push", {"tokens": ["x"]}, at=3),
            delete("a", at=4),
        ],
        users={},
        preferences={},
        channel_data={},
    ),
    case(
        "rule 7: deleting an unknown user is no error",
        [delete("a", at=1)],
        users={},
        merged={},
    ),
    case(
        "rule 7: a job stamped before the delete does not bring the user back, however late",
        [delete("a", at=3), identify("a", plan="pro", at=1), identify("a", seats=2, at=2)],
        users={},
    ),
    case(
        "rule 7: a preference set or channel data stamped before the delete does not bring the user back",
        [
            delete("a", at=3),
            set_preferences("a", "default", {}, at=1),
            set_channel_data("a", "push", {"tokens": ["x"]}, at=2),
        ],
        users={},
    ),
    case(
        "rule 7: bulk delete ends each of its users",
        [identify("a", at=1), identify("b", at=1), identify("c", at=1), bulk_delete("a", "c", "d", at=2)],
        users={"b": {}},
    ),
    case(
        "rule 7: a delete at the same time counts when its id is the greater",
        [
            identify("a", at=1, job="1"),
            delete("a", at=1, job="2"),
            delete("b", at=1, job="3"),
            identify("b", at=1, job="4"),
        ],
        users={"b": {}},
    ),
    case(
        "rule 7: taking away what a deleted user had does not bring the user back",
        [
            identify("a", preferences={"default": {}}, channel_data={"push": {}}, at=1),
            delete("a", at=2),
            unset_preferences("a", "default", at=3),
            unset_channel_data("a", "push", at=4),
        ],
        users={},
    ),
    case(
        "rule 8: a deleted user is no recipient of a later trigger",
        [identify("a", at=1), identify("b", at=1), delete("a", at=2), trigger("hello", ["a", "b"], at=3)],
        feeds={"b": ["hello"]},
        activities={"b": ["hello"]},
    ),
    case(
        "rule 8: a recipient who is not known yet is skipped, and is not made up for later",
        [trigger("hello", ["a"], at=1), identify("a", at=2)],
        users={"a": {}},
        feeds={},
        activities={},
    ),
    case(
        "rule 8: a user identified at the very time of the trigger, by a job with a smaller id, is a recipient",
        [
            identify("a", at=1, job="1"),
            trigger("hello", ["a", "b"], at=1, job="2"),
            identify("b", at=1, job="3"),
        ],
        feeds={"a": ["hello"]},
    ),
    case(
        "rule 8: a user who is known by preferences or channel data alone is a recipient",
        [
            set_preferences("a", "default", {}, at=1),
            set_channel_data("b", "push", {}, at=1),
            trigger("hello", ["a", "b"], at=2),
        ],
        feeds={"a": ["hello"], "b": ["hello"]},
    ),
    case(
        "rule 8: taking something away from an unknown user does not make a recipient",
        [unset_preferences("a", "default", at=1), unset_channel_data("a", "push", at=1), trigger("hello", ["a"], at=2)],
        users={},
        feeds={},
    ),
    case(
        "rule 8: an inline recipient is identified, and so exists again",
        [identify("a", plan="pro", at=1), delete("a", at=2), trigger("hello", [user("a", seats=2)], at=3)],
        users={"a": {"seats": 2}},
        feeds={"a": ["hello"]},
    ),
    case(
        "rule 8: a late delete does not make a user unknown who was identified between it and the trigger",
        [
            identify("a", at=1),
            identify("a", at=5),
            identify("a", at=10),
            trigger("hello", ["a"], at=7),
            delete("a", at=3),
        ],
        feeds={"a": ["hello"]},
    ),
    case(
        "rule 8: a late delete makes a user unknown who was identified only before it and after the trigger",
        [identify("a", at=1), identify("a", at=10), trigger("hello", ["a"], at=7), delete("a", at=3)],
        users={"a": {}},
        feeds={},
    ),
    case(
        "rule 8: a deleted user who acts in a later trigger is missing there",
        [identify("a", at=1), identify("b", at=1), delete("b", at=2), trigger("hello", ["a"], actor="b", at=3)],
        feeds={"a": ["hello"]},
        actors={"hello": MISSING},
    ),
    case(
        "rule 8: an actor who is not known yet is missing for good",
        [identify("a", at=1), trigger("hello", ["a"], actor="b", at=2), identify("b", at=3)],
        users={"a": {}, "b": {}},
        actors={"hello": MISSING},
    ),
    case(
        "rule 8: an inline actor is identified",
        [identify("a", at=1), trigger("hello", ["a"], actor=user("b", plan="pro"), at=2)],
        users={"a": {}, "b": {"plan": "pro"}},
        actors={"hello": "b"},
    ),
    case(
        "rule 9: an actor who was deleted since is missing",
        [identify("a", at=1), identify("b", at=1), trigger("hello", ["a"], actor="b", at=2), delete("b", at=3)],
        feeds={"a": ["hello"]},
        actors={"hello": MISSING},
    ),
    case(
        "rule 9: a deleted actor stays missing when the id is used again",
        [
            identify("a", at=1),
            identify("b", at=1),
            trigger("hello", ["a"], actor="b", at=2),
            delete("b", at=3),
            identify("b", at=4),
        ],
        actors={"hello": MISSING},
    ),
    case(
        "rule 9: if no actor was named, none is missing",
        [identify("a", at=1), trigger("hello", ["a"], at=2)],
        actors={"hello": None},
    ),
    case(
        "rule 10: an id used again inherits nothing",
        [
            identify("a", plan="pro", email="ann@example.com", preferences={"t1": {}}, channel_data={"chat": {}}, at=1),
            trigger("hello", ["a"], at=2),
            delete("a", at=3),
            identify("a", seats=2, at=4, job="again"),
        ],
        users={"a": {"seats": 2}},
        preferences={},
        channel_data={},
        feeds={},
        activities={},
        updated={"a": "again"},
    ),
    case(
        "rule 10: an id may be used again and again",
        [
            identify("a", plan="one", one=1, at=1),
            delete("a", at=2),
            identify("a", plan="two", two=2, at=3),
            trigger("hello", ["a"], at=4),
            delete("a", at=5),
            identify("a", plan="three", at=6),
            trigger("again", ["a"], at=7),
        ],
        users={"a": {"plan": "three"}},
        feeds={"a": ["again"]},
    ),
)
