"""Changes of a part: single keys of a preference set (30)."""

from __future__ import annotations

from typing import Any, Final

from tests.support.builders import (
    bulk_set_preferences,
    delete,
    identify,
    merge,
    set_preferences,
    trigger,
    unset_preferences,
    update_preferences,
)
from tests.support.rule_case import Case, case

_NEWS_OFF: Final = {"workflows": {"news": False}}


def _sets(**sets: Any) -> dict[str, Any]:
    return {"a": sets}


PARTIAL_CHANGES: Final[tuple[Case, ...]] = (
    case(
        "rule 30: two changes of different keys both hold",
        [
            update_preferences("a", "default", _NEWS_OFF, at=1),
            update_preferences("a", "default", {"workflows": {"digest": False}}, at=2),
        ],
        preferences=_sets(default={"workflows": {"news": False, "digest": False}}),
    ),
    case(
        "rule 30: two changes at the same time both hold",
        [
            update_preferences("a", "default", _NEWS_OFF, at=1, job="one"),
            update_preferences("a", "default", {"channel_types": {"email": False}}, at=1, job="other"),
        ],
        preferences=_sets(default={"workflows": {"news": False}, "channel_types": {"email": False}}),
    ),
    case(
        "rule 30: of two changes of one key the later holds",
        [
            update_preferences("a", "default", _NEWS_OFF, at=1),
            update_preferences("a", "default", {"workflows": {"news": True, "digest": False}}, at=2),
        ],
        preferences=_sets(default={"workflows": {"news": True, "digest": False}}),
    ),
    case(
        "rule 30: a change leaves the other keys of a set that was set whole",
        [
            set_preferences("a", "default", {"workflows": {"x": True}, "categories": {"ads": False}}, at=1),
            update_preferences("a", "default", {"categories": {"tips": False}}, at=2),
        ],
        preferences=_sets(default={"workflows": {"x": True}, "categories": {"ads": False, "tips": False}}),
    ),
    case(
        "rule 30: setting the whole set voids the keys that are older, and none that is newer",
        [
            update_preferences("a", "default", {"workflows": {"old": False}}, at=1),
            set_preferences("a", "default", {"workflows": {"x": True}}, at=2),
            update_preferences("a", "default", {"workflows": {"new": False}}, at=3),
        ],
        preferences=_sets(default={"workflows": {"x": True, "new": False}}),
    ),
    case(
        "rule 30: a bulk job replaces the set as well",
        [
            update_preferences("a", "default", {"workflows": {"old": False}}, at=1),
            bulk_set_preferences(["a"], "default", {"workflows": {"x": True}}, at=2),
        ],
        preferences=_sets(default={"workflows": {"x": True}}),
    ),
    case(
        "rule 30: a set given with an identify voids older keys",
        [
            update_preferences("a", "default", {"workflows": {"old": False}}, at=1),
            identify("a", at=2, preferences={"default": {"workflows": {"x": True}}}),
            update_preferences("a", "default", {"workflows": {"new": False}}, at=3),
        ],
        preferences=_sets(default={"workflows": {"x": True, "new": False}}),
    ),
    case(
        "rule 30: removing the set voids older keys, and a newer key makes the set anew",
        [
            set_preferences("a", "default", {"workflows": {"x": True}}, at=1),
            unset_preferences("a", "default", at=2),
            update_preferences("a", "default", {"workflows": {"new": False}}, at=3),
        ],
        preferences=_sets(default={"workflows": {"new": False}}),
    ),
    case(
        "rule 30: None takes a key away, and the section with its last key",
        [
            set_preferences(
                "a", "default", {"workflows": {"x": True, "y": False}, "channel_types": {"sms": False}}, at=1
            ),
            update_preferences("a", "default", {"workflows": {"x": None}, "channel_types": {"sms": None}}, at=2),
        ],
        preferences=_sets(default={"workflows": {"y": False}}),
    ),
    case(
        "rule 30: a set whose last key is taken away is there, and empty",
        [
            update_preferences("a", "t1", {"workflows": {"x": True}}, at=1),
            update_preferences("a", "t1", {"workflows": {"x": None}}, at=2),
        ],
        preferences=_sets(t1={}),
    ),
    case(
        "rule 30: taking keys away makes no set, and the default applies on",
        [
            set_preferences("a", "default", _NEWS_OFF, at=1),
            update_preferences("a", "t1", {"workflows": {"x": None}}, at=2),
            trigger("news", ["a"], at=3, tenant="t1"),
        ],
        preferences=_sets(default=_NEWS_OFF),
        feeds={},
    ),
    case(
        "rule 30: a setting by channel type is one value",
        [
            update_preferences("a", "default", {"categories": {"ads": {"channel_types": {"sms": False}}}}, at=1),
            update_preferences("a", "default", {"categories": {"ads": {"channel_types": {"email": False}}}}, at=2),
        ],
        preferences=_sets(default={"categories": {"ads": {"channel_types": {"email": False}}}}),
    ),
    case(
        "rule 30: a change creates an unknown user, and is the newest change of a known one",
        [
            identify("b", at=1),
            update_preferences("a", "default", {}, at=2, job="created"),
            update_preferences("b", "default", {"workflows": {"x": None}}, at=2, job="changed"),
        ],
        updated={"a": "created", "b": "changed"},
        preferences={},
    ),
    case(
        "rule 30: a change counts for the triggers after it, and for none before",
        [
            trigger("before", ["b"], at=1),
            set_preferences("b", "default", {"workflows": {"x": True}}, at=0),
            update_preferences("b", "default", {"channel_types": {"in_app": False}}, at=2),
            trigger("muted", ["b"], at=3),
            update_preferences("b", "default", {"channel_types": {"in_app": None}}, at=4),
            trigger("after", ["b"], at=5),
        ],
        feeds={"b": ["after", "before"]},
    ),
    case(
        "rule 30: an opt-out of one key holds for the trigger, whatever set replaced it later",
        [
            update_preferences("a", "default", _NEWS_OFF, at=1),
            trigger("news", ["a"], at=2),
            set_preferences("a", "default", {}, at=3),
        ],
        feeds={},
    ),
    case(
        "rule 30: a change follows a merged-away id",
        [
            set_preferences("a", "default", {"workflows": {"x": True}}, at=1),
            identify("guest", at=1),
            merge("a", "guest", at=2),
            update_preferences("guest", "default", _NEWS_OFF, at=3),
            trigger("news", ["a"], at=4),
        ],
        preferences=_sets(default={"workflows": {"x": True, "news": False}}),
        feeds={},
    ),
    case(
        "rules 13 and 30: a merge takes the sets as single keys had made them",
        [
            update_preferences("a", "default", {"workflows": {"x": True}}, at=1),
            update_preferences("guest", "default", {"workflows": {"x": False, "y": False}}, at=1),
            update_preferences("guest", "t1", {"workflows": {"z": False}}, at=1, plus=1),
            merge("a", "guest", at=2, keep_opt_outs=True),
        ],
        preferences=_sets(default={"workflows": {"x": False, "y": False}}, t1={"workflows": {"z": False}}),
    ),
    case(
        "rules 13 and 30: a set that a single key had made is the primary's own, however often that key changes later",
        [
            identify("b", at=0),
            update_preferences("a", "default", {"workflows": {"x": True}}, at=1),
            set_preferences("b", "default", {"workflows": {"y": False}}, at=1),
            merge("a", "b", at=2),
            update_preferences("a", "default", {"workflows": {"x": False}}, at=3),
        ],
        preferences=_sets(default={"workflows": {"x": False}}),
    ),
    case(
        "rules 10 and 30: an id used again inherits no single key",
        [
            update_preferences("a", "default", _NEWS_OFF, at=1),
            delete("a", at=2),
            update_preferences("a", "default", {"workflows": {"digest": False}}, at=3),
            trigger("news", ["a"], at=4),
        ],
        preferences=_sets(default={"workflows": {"digest": False}}),
        feeds={"a": ["news"]},
    ),
)
