"""What a merged-away id stands for (rule 16): writes go to the primary, deletes and merges of the id are ignored."""

from __future__ import annotations

from typing import Final

from tests.support.builders import (
    bulk_delete,
    bulk_identify,
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

REDIRECTS: Final[tuple[Case, ...]] = (
    case(
        "rule 16: a straggler of the secondary loses conflicts and fills gaps",
        [identify("a", plan="pro", at=1), merge("a", "b", at=3), identify("b", plan="free", seats=2, at=2)],
        users={"a": {"plan": "pro", "seats": 2}},
        updated={"a": "merge:a-b:3"},
    ),
    case(
        "rule 16: a straggler of the primary beats what was inherited",
        [
            identify("b", plan="free", team={"x": 1, "y": 1}, at=1),
            merge("a", "b", at=3),
            identify("a", plan="pro", team={"x": 2}, at=2),
        ],
        users={"a": {"plan": "pro", "team": {"x": 2, "y": 1}}},
    ),
    case(
        "rule 16: a straggler of the secondary is beaten by the secondary's own later values",
        [
            identify("a", at=1),
            identify("b", plan="old", at=2),
            identify("b", plan="new", at=3),
            merge("a", "b", at=4),
        ],
        users={"a": {"plan": "new"}},
    ),
    case(
        "rule 16: after the merge the merged-away id writes to the primary",
        [
            identify("a", plan="pro", at=1),
            identify("b", plan="free", at=1),
            merge("a", "b", at=2),
            identify("b", plan="trial", at=3, job="last"),
        ],
        users={"a": {"plan": "trial"}},
        updated={"a": "last"},
    ),
    case(
        "rule 16: after the merge both ids write to one user and the newest value stands",
        [
            identify("a", plan="one", at=1),
            merge("a", "b", at=2),
            identify("b", plan="two", team={"x": 1}, at=3),
            identify("a", plan="three", team={"y": 2}, at=4),
        ],
        users={"a": {"plan": "three", "team": {"y": 2}}},
    ),
    case(
        "rule 16: bulk identify of the merged-away id writes to the primary",
        [merge("a", "b", at=1), bulk_identify(user("a", plan="pro"), user("b", plan="free"), user("c"), at=2)],
        users={"a": {"plan": "free"}, "c": {}},
    ),
    case(
        "rule 16: preferences and channel data of the merged-away id are the primary's",
        [
            identify("a", preferences={"default": {"workflows": {"x": True}}}, at=1),
            merge("a", "b", at=2),
            set_preferences("b", "default", {"workflows": {"x": False}}, at=3),
            set_channel_data("b", "push", {"tokens": ["x"]}, at=3),
            bulk_set_preferences(["b", "a"], "t1", {}, at=3),
        ],
        preferences={"a": {"default": {"workflows": {"x": False}}, "t1": {}}},
        channel_data={"a": {"push": {"tokens": ["x"]}}},
    ),
    case(
        "rule 16: what the merged-away id takes away is taken from the primary",
        [
            identify("a", preferences={"default": {}}, channel_data={"push": {}, "chat": {}}, at=1),
            merge("a", "b", at=2),
            unset_preferences("b", "default", at=3),
            unset_channel_data("b", "push", at=4, job="last"),
        ],
        preferences={},
        channel_data={"a": {"chat": {}}},
        updated={"a": "last"},
    ),
    case(
        "rule 16: a trigger that names the merged-away id reaches the primary",
        [
            identify("a", at=1),
            merge("a", "b", at=2),
            trigger("by-id", ["b"], actor="b", at=3),
            trigger("inline", [user("b", plan="pro")], actor=user("b", seats=2), at=4),
        ],
        users={"a": {"plan": "pro", "seats": 2}},
        feeds={"a": ["by-id", "inline"]},
        actors={"by-id": "a", "inline": "a"},
    ),
    case(
        "rule 16: a straggling trigger that names the secondary reaches the primary",
        [identify("b", at=1), trigger("hello", ["b"], at=2), merge("a", "b", at=3), delete("b", at=4)],
        feeds={"a": ["hello"]},
    ),
    case(
        "rule 16: a delete that names the merged-away id does nothing",
        [identify("a", plan="pro", at=1), identify("b", at=1), merge("a", "b", at=2), delete("b", at=3)],
        users={"a": {"plan": "pro"}},
        merged={"b": "a"},
    ),
    case(
        "rule 16: a merge that names the merged-away id as secondary does nothing",
        [identify("a", plan="pro", at=1), identify("b", at=1), merge("a", "b", at=2), merge("c", "b", at=3)],
        users={"a": {"plan": "pro"}},
        merged={"b": "a"},
    ),
    case(
        "rule 16: a merge that names the merged-away id as primary reaches the primary",
        [
            identify("a", plan="pro", at=1),
            merge("a", "b", at=2),
            identify("c", plan="free", seats=2, at=1),
            merge("b", "c", at=3),
        ],
        users={"a": {"plan": "pro", "seats": 2}},
        merged={"b": "a", "c": "a"},
    ),
    case(
        "rule 16: a delete of the secondary stamped before the merge takes its contribution away, however late",
        [
            identify("a", plan="pro", at=1),
            identify("b", seats=2, preferences={"t1": {}}, at=1),
            merge("a", "b", at=3),
            delete("b", at=2),
        ],
        users={"a": {"plan": "pro"}},
        preferences={},
        merged={"b": "a"},
        updated={"a": "identify:a:1"},
    ),
    case(
        "rule 16: a preference set before a late delete of the secondary is not brought back by the merge",
        [
            delete("b", at=2),
            merge("a", "b", at=3),
            set_preferences("b", "default", {}, at=1),
        ],
        users={},
        preferences={},
    ),
    case(
        "rule 16: deleting the primary takes away what the secondary gave",
        [
            identify("a", at=1),
            identify("b", plan="free", at=1),
            trigger("hello", ["b"], at=2),
            merge("a", "b", at=3),
            delete("a", at=4),
        ],
        users={},
        merged={},
        feeds={},
    ),
    case(
        "rule 16: deleting the primary frees its merged-away ids",
        [
            identify("a", at=1),
            identify("b", plan="free", at=1),
            merge("a", "b", at=2),
            delete("a", at=3),
            identify("b", seats=2, at=4),
        ],
        users={"b": {"seats": 2}},
        merged={},
    ),
    case(
        "rule 16: deleting the primary frees the ids of the whole chain",
        [
            identify("c", at=1),
            merge("b", "c", at=2),
            merge("a", "b", at=3),
            delete("a", at=4),
            merge("c", "b", at=5),
        ],
        users={},
        merged={"b": "c"},
    ),
    case(
        "rule 16: deleting a primary that is not known frees its merged-away ids as well",
        [merge("a", "b", at=1), delete("a", at=2), identify("b", at=3)],
        users={"b": {}},
        merged={},
    ),
    case(
        "rule 16: a freed id is no user until it is used again",
        [
            identify("b", at=1),
            merge("a", "b", at=2),
            delete("a", at=3),
            trigger("hello", ["b", user("c")], actor="b", at=4),
        ],
        feeds={"c": ["hello"]},
        actors={"hello": MISSING},
    ),
    case(
        "rule 16: a freed id may be merged away again",
        [
            merge("a", "b", at=1),
            delete("a", at=2),
            identify("b", plan="pro", at=3),
            merge("c", "b", at=4),
        ],
        users={"c": {"plan": "pro"}},
        merged={"b": "c"},
    ),
    case(
        "rule 16: a bulk delete takes its ids one after the other",
        [
            identify("a", at=1),
            merge("a", "b", at=2),
            bulk_delete("b", "a", at=3),
            identify("b", at=4),
        ],
        users={"b": {}},
        merged={},
    ),
    case(
        "rule 16: a value that was forgotten for a newer one under the same id is not missed after the merge",
        [
            identify("b", plan="old", at=1),
            merge("a", "b", at=2),
            identify("b", plan="new", at=3),
        ],
        users={"a": {"plan": "new"}},
    ),
)
