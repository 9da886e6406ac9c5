"""What identify does (rules 2 to 5)."""

from __future__ import annotations

from typing import Final

from tests.support.builders import bulk_identify, day, identify, user
from tests.support.rule_case import Case, case

from rollbook_shared.errors import Problem
from rollbook_shared.jobs.models import BulkIdentify

USERS: Final[tuple[Case, ...]] = (
    case(
        "rule 2: known attributes are kept apart from properties",
        [identify("a", email="ann@example.com", plan="pro", at=1)],
        users={"a": {"email": "ann@example.com", "plan": "pro"}},
        attributes={"a": {"email": "ann@example.com"}},
    ),
    case(
        "rule 2: updated is the stamp of the newest change, not of the newest arrival",
        [identify("a", plan="pro", at=1), identify("a", seats=2, at=9, job="newest"), identify("a", plan="free", at=5)],
        updated={"a": "newest"},
    ),
    case(
        "rule 3: identify creates the user",
        [identify("a", plan="pro", at=1)],
        users={"a": {"plan": "pro"}},
    ),
    case(
        "rule 3: identify without traits creates the user",
        [identify("a", at=1)],
        users={"a": {}},
    ),
    case(
        "rule 3: keys that are not sent stay",
        [identify("a", plan="pro", at=1), identify("a", seats=2, at=2)],
        users={"a": {"plan": "pro", "seats": 2}},
    ),
    case(
        "rule 3: a nested value is replaced whole",
        [identify("a", address={"city": "Ulm", "zip": "89073"}, at=1), identify("a", address={"city": "Jena"}, at=2)],
        users={"a": {"address": {"city": "Jena"}}},
    ),
    case(
        "rule 3: null is a value and overwrites a property",
        [identify("a", plan="pro", at=1), identify("a", plan=None, at=2)],
        users={"a": {"plan": None}},
    ),
    case(
        "rule 3: null takes an attribute away",
        [identify("a", email="ann@example.com", at=1), identify("a", email=None, at=2)],
        users={"a": {}},
    ),
    case(
        "rule 3: the newest value of each key stands, key by key",
        [
            identify("a", plan="trial", seats=1, at=1),
            identify("a", plan="pro", at=3),
            identify("a", plan="free", seats=2, at=2),
        ],
        users={"a": {"plan": "pro", "seats": 2}},
    ),
    case(
        "rule 3: of two jobs at one time the one with the greater id is later",
        [identify("a", plan="pro", at=1, job="y"), identify("a", plan="free", at=1, job="x")],
        users={"a": {"plan": "pro"}},
        updated={"a": "y"},
    ),
    case(
        "rule 3: an id that begins with another is later at the same time, whatever the ordinals",
        [
            bulk_identify(user("a", plan="free"), user("b"), user("a", plan="trial"), at=1, job="x"),
            identify("a", plan="pro", at=1, job="x-"),
        ],
        users={"a": {"plan": "pro"}, "b": {}},
    ),
    case(
        "rule 3: of two users in one bulk job with one id the later place stands",
        [bulk_identify(user("a", plan="free"), user("a", plan="pro"), at=1)],
        users={"a": {"plan": "pro"}},
    ),
    case(
        "rule 4: identify replaces each preference set it carries, whole",
        [
            identify(
                "a",
                preferences={"default": {"workflows": {"digest": False}}, "t1": {"workflows": {"digest": True}}},
                at=1,
            ),
            identify("a", preferences={"default": {"channel_types": {"sms": False}}}, at=2),
        ],
        preferences={
            "a": {"default": {"channel_types": {"sms": False}}, "t1": {"workflows": {"digest": True}}},
        },
    ),
    case(
        "rule 4: identify replaces each channel's data it carries, whole",
        [
            identify("a", channel_data={"push": {"tokens": ["x", "y"]}, "chat": {"connections": []}}, at=1),
            identify("a", channel_data={"push": {"tokens": ["z"]}}, at=2),
        ],
        channel_data={"a": {"push": {"tokens": ["z"]}, "chat": {"connections": []}}},
    ),
    case(
        "rule 5: bulk identify identifies each of its users",
        [bulk_identify(user("a", plan="pro"), user("b", plan="free"), at=1)],
        users={"a": {"plan": "pro"}, "b": {"plan": "free"}},
    ),
    case(
        "rule 5: a bad user in a bulk job does not hurt the good ones",
        [
            BulkIdentify(
                id="partly-bad",
                occurred_at=day(1),
                users=(user("a"), Problem("users[1].id", "must not be empty", 1), user("b", plan="free")),
            )
        ],
        users={"a": {}, "b": {"plan": "free"}},
    ),
)
