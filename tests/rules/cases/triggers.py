"""Preferences and channel data (19, 20), the rows of triggers (21), and every job (23, 24)."""

from __future__ import annotations

from typing import Final

from tests.support.builders import (
    bulk_set_preferences,
    delete,
    identify,
    merge,
    set_channel_data,
    set_preferences,
    trigger,
    unset_channel_data,
    unset_preferences,
    user,
)
from tests.support.rule_case import MISSING, Case, case

PREFERENCES: Final[tuple[Case, ...]] = (
    case(
        "rule 19: setting preferences replaces the set, and leaves the others",
        [
            set_preferences("a", "default", {"workflows": {"x": False}}, at=1),
            set_preferences("a", "t1", {"categories": {"news": {"channel_types": {"sms": False}}}}, at=2),
            set_preferences("a", "default", {"channel_types": {"sms": True}}, at=3),
        ],
        preferences={
            "a": {
                "default": {"channel_types": {"sms": True}},
                "t1": {"categories": {"news": {"channel_types": {"sms": False}}}},
            }
        },
    ),
    case(
        "rule 19: bulk set preferences replaces the set of each user",
        [
            set_preferences("a", "default", {"workflows": {"x": False}}, at=1),
            bulk_set_preferences(["a", "b"], "default", {}, at=2),
        ],
        users={"a": {}, "b": {}},
        preferences={"a": {"default": {}}, "b": {"default": {}}},
    ),
    case(
        "rule 20: setting preferences or channel data of an unknown user creates the user",
        [set_preferences("a", "default", {}, at=1), set_channel_data("b", "push", {}, at=1, job="last")],
        users={"a": {}, "b": {}},
        updated={"a": "set-preferences:a-default:1", "b": "last"},
    ),
    case(
        "rule 20: setting channel data replaces it, the newest stands",
        [
            set_channel_data("a", "push", {"tokens": ["x"]}, at=2),
            set_channel_data("a", "push", {"tokens": ["y"], "old": True}, at=1),
        ],
        channel_data={"a": {"push": {"tokens": ["x"]}}},
    ),
    case(
        "rule 20: taking channel data or a preference set away removes it, and changes the user",
        [
            identify("a", preferences={"default": {}, "t1": {}}, channel_data={"push": {}, "chat": {}}, at=1),
            unset_preferences("a", "t1", at=2),
            unset_channel_data("a", "push", at=3, job="last"),
        ],
        preferences={"a": {"default": {}}},
        channel_data={"a": {"chat": {}}},
        updated={"a": "last"},
    ),
    case(
        "rule 20: what was taken away may be set again",
        [
            set_channel_data("a", "push", {"tokens": ["x"]}, at=1),
            unset_channel_data("a", "push", at=2),
            set_channel_data("a", "push", {"tokens": ["y"]}, at=3),
        ],
        channel_data={"a": {"push": {"tokens": ["y"]}}},
    ),
    case(
        "rule 20: taking away what is not there changes nothing but the time",
        [identify("a", plan="pro", at=1), unset_preferences("a", "default", at=2, job="last")],
        users={"a": {"plan": "pro"}},
        preferences={},
        updated={"a": "last"},
    ),
    case(
        "rule 20: taking something away from an unknown user does not create one",
        [unset_channel_data("a", "push", at=1), unset_preferences("b", "default", at=1)],
        users={},
    ),
)

TRIGGERS: Final[tuple[Case, ...]] = (
    case(
        "rule 21: an activity for each recipient, a message for each recipient on each channel",
        [
            identify("a", at=1),
            identify("b", at=1),
            trigger("hello", ["a", "b"], actor="a", channels=("in_app", "email"), at=2),
        ],
        feeds={"a": ["hello", "hello/email"], "b": ["hello", "hello/email"]},
        activities={"a": ["hello"], "b": ["hello"]},
        actors={"hello": "a"},
    ),
    case(
        "rule 21: a recipient named twice gets one message on each channel, and so does a channel named twice",
        [identify("a", at=1), trigger("hello", ["a", "a", user("a", plan="pro")], channels=("sms", "sms"), at=2)],
        users={"a": {"plan": "pro"}},
        feeds={"a": ["hello/sms"]},
        activities={"a": ["hello"]},
    ),
    case(
        "rule 21: all inline users are identified before messages are made, wherever they stand in the list",
        [trigger("hello", ["a", "b", user("a", plan="pro"), "c"], actor=user("b", seats=2), at=1)],
        users={"a": {"plan": "pro"}, "b": {"seats": 2}},
        feeds={"a": ["hello"], "b": ["hello"]},
        actors={"hello": "b"},
    ),
    case(
        "rule 21: an actor named by id is known by an inline recipient",
        [trigger("hello", [user("a")], actor="a", at=1)],
        actors={"hello": "a"},
    ),
    case(
        "rule 21: of inline users with one id the actor comes first, then the recipients in their order",
        [
            trigger(
                "hello",
                [user("a", plan="two", x=2), user("a", plan="three")],
                actor=user("a", plan="one", x=1, y=1),
                at=1,
            )
        ],
        users={"a": {"plan": "three", "x": 2, "y": 1}},
    ),
    case(
        "rule 21: an inline recipient carries preferences and channel data",
        [trigger("hello", [user("a", preferences={"default": {}}, channel_data={"push": {}})], at=1)],
        preferences={"a": {"default": {}}},
        channel_data={"a": {"push": {}}},
    ),
    case(
        "rule 21: inline identification is an upsert in the place of its trigger",
        [
            trigger("hello", [user("a", plan="mid", seats=2)], at=2, job="mid"),
            identify("a", plan="new", at=3),
            identify("a", plan="old", seats=1, at=1),
        ],
        users={"a": {"plan": "new", "seats": 2}},
        feeds={"a": ["hello"]},
    ),
    case(
        "rule 21: two ids of one person are two recipients, before the merge and after it",
        [
            identify("a", at=1),
            identify("b", at=1),
            trigger("before", ["a", "b"], at=2),
            merge("a", "b", at=3),
            trigger("after", ["a", "b"], at=4),
        ],
        feeds={"a": ["after", "after", "before", "before"]},
    ),
    case(
        "rule 21: who is deleted later has no feed, the other recipients keep theirs",
        [trigger("hello", [user("a"), user("b")], actor="a", at=1), delete("a", at=2)],
        feeds={"b": ["hello"]},
        activities={"b": ["hello"]},
        actors={"hello": MISSING},
    ),
)

EVERY_JOB: Final[tuple[Case, ...]] = (
    case(
        "rule 23: a job applied again changes nothing, though others came between",
        [identify("a", plan="pro", at=1), delete("a", at=2), identify("a", seats=2, at=3)],
        users={"a": {"seats": 2}},
    ),
    case(
        "rule 24: the state is that of the jobs in stamp order, whatever the order of arrival",
        [
            identify("a", plan="pro", at=1),
            trigger("hello", ["a"], actor=user("b"), at=2),
            merge("c", "a", at=3),
            delete("b", at=4),
            identify("a", plan="free", at=5),
        ],
        users={"c": {"plan": "free"}},
        merged={"a": "c"},
        feeds={"c": ["hello"]},
        actors={"hello": MISSING},
    ),
)
