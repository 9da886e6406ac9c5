"""Which messages and activities a merge transfers (rule 14). The history is 30 days."""

from __future__ import annotations

from typing import Final

from tests.support.builders import DAY, DAY_0, delete, identify, merge, trigger, user
from tests.support.rule_case import MISSING, Case, case

_YEAR_1970: Final = -DAY_0 // DAY

HISTORY: Final[tuple[Case, ...]] = (
    case(
        "rule 14: the secondary's messages and activities are the primary's",
        [
            identify("a", at=0),
            identify("b", at=0),
            trigger("mine", ["a"], at=1),
            trigger("theirs", ["b"], at=2, channels=("in_app", "email")),
            merge("a", "b", at=3),
        ],
        feeds={"a": ["mine", "theirs", "theirs/email"]},
        activities={"a": ["mine", "theirs"]},
    ),
    case(
        "rule 14: the secondary's activities as an actor are the primary's",
        [
            identify("b", at=0),
            identify("c", at=0),
            trigger("hello", ["c"], actor="b", at=1),
            merge("a", "b", at=2),
        ],
        feeds={"c": ["hello"]},
        actors={"hello": "a"},
    ),
    case(
        "rule 14: what happened exactly 30 days before the merge comes along",
        [
            identify("b", at=0),
            identify("c", at=0),
            trigger("received", ["b"], at=10),
            trigger("did", ["c"], actor="b", at=10),
            merge("a", "b", at=40),
        ],
        feeds={"a": ["received"], "c": ["did"]},
        actors={"received": None, "did": "a"},
    ),
    case(
        "rule 14: what happened a microsecond earlier belongs to no user, and its actor is missing",
        [
            identify("b", at=0),
            identify("c", at=0),
            trigger("received", ["b"], at=10, plus=-1),
            trigger("did", ["c"], actor="b", at=10, plus=-1),
            merge("a", "b", at=40),
        ],
        feeds={"c": ["did"]},
        activities={"c": ["did"]},
        actors={"did": MISSING},
    ),
    case(
        "rule 14: the primary's own history stays, however old",
        [identify("a", at=0), identify("b", at=0), trigger("old", ["a"], actor="a", at=1), merge("a", "b", at=99)],
        feeds={"a": ["old"]},
        actors={"old": "a"},
    ),
    case(
        "rule 14: recipient and actor are carried each for itself",
        [
            identify("a", at=0),
            identify("b", at=0),
            trigger("to-self", ["b"], actor="a", at=1),
            merge("c", "b", at=5),
            merge("c", "a", at=40),
        ],
        feeds={"c": ["to-self"]},
        actors={"to-self": MISSING},
    ),
    case(
        "rule 14: each merge of a chain carries 30 days of its own",
        [
            identify("c", at=0),
            trigger("first", ["c"], at=0, plus=1),
            trigger("second", ["c"], at=20),
            merge("b", "c", at=30),
            merge("a", "b", at=50),
        ],
        feeds={"a": ["second"]},
    ),
    case(
        "rule 14: a chain that arrives in reverse transfers the window of its only merge with history",
        [
            identify("c", at=0),
            trigger("first", ["c"], at=0, plus=1),
            trigger("second", ["c"], at=20),
            merge("a", "b", at=10),
            merge("b", "c", at=30),
        ],
        feeds={"a": ["first", "second"]},
    ),
    case(
        "rule 14: what happened at the very time of the merge is the primary's, before it or after it",
        [
            identify("b", at=0),
            trigger("before", ["b"], at=1, job="1"),
            merge("a", "b", at=1, job="2"),
            trigger("after", ["b"], at=1, job="3"),
        ],
        feeds={"a": ["after", "before"]},
    ),
    case(
        "rule 14: the window is counted from the merge's stamp: what came after is the primary's for good",
        [identify("b", at=0), merge("a", "b", at=1), trigger("later", ["b"], at=99)],
        feeds={"a": ["later"]},
    ),
    case(
        "rule 14: history of an earlier person under the secondary's id stays without an owner",
        [
            identify("b", at=0),
            trigger("former", ["b"], at=1),
            delete("b", at=2),
            identify("b", at=3),
            trigger("present", ["b"], at=4),
            merge("a", "b", at=5),
        ],
        feeds={"a": ["present"]},
    ),
    case(
        "rule 14: history that was left behind stays behind when the primary is deleted and the id used again",
        [
            identify("b", at=0),
            trigger("old", ["b"], at=1),
            trigger("new", ["b"], at=35),
            merge("a", "b", at=40),
            delete("a", at=41),
            identify("b", at=42),
        ],
        users={"b": {}},
        feeds={},
    ),
    case(
        "rule 14: a merge that takes no effect moves nothing",
        [
            identify("a", at=0),
            identify("b", at=0),
            trigger("hello", ["b"], at=1),
            merge("a", "b", at=2),
            merge("c", "b", at=3),
        ],
        feeds={"a": ["hello"]},
    ),
    case(
        "rule 14: a delete of the secondary that comes late leaves its history without an owner",
        [
            identify("a", at=0),
            identify("b", at=0),
            trigger("hello", ["b", user("c")], actor="b", at=1),
            merge("a", "b", at=3),
            delete("b", at=2),
        ],
        feeds={"c": ["hello"]},
        actors={"hello": MISSING},
    ),
    case(
        "rule 14: all history comes along in a merge in the first days of 1970",
        [
            identify("b", at=_YEAR_1970),
            trigger("hello", ["b"], at=_YEAR_1970, plus=1),
            merge("a", "b", at=_YEAR_1970 + 1),
        ],
        feeds={"a": ["hello"]},
    ),
)
