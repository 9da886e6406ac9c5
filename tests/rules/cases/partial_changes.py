"""Changes of a part: single keys of a preference set (30), and push tokens one by one (31)."""

from __future__ import annotations

from typing import Any, Final

from tests.support.builders import (
    add_push_token,
    bulk_set_preferences,
    delete,
    identify,
    merge,
    remove_push_token,
    set_channel_data,
    set_preferences,
    trigger,
    unset_channel_data,
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
    case(
        "rule 31: tokens that are added one by one are all kept",
        [
            add_push_token("a", "push", "t1", at=1),
            add_push_token("a", "push", "t2", at=1, job="same-time"),
            add_push_token("a", "push", "t3", at=2),
        ],
        channel_data={"a": {"push": {"tokens": ["t1", "t2", "t3"]}}},
    ),
    case(
        "rule 31: a token added again renews its device, and is the last",
        [
            add_push_token("a", "push", "t1", at=1, device={"locale": "de"}),
            add_push_token("a", "push", "t2", at=2, device={"timezone": "UTC"}),
            add_push_token("a", "push", "t1", at=3, device={"locale": "fr"}),
        ],
        channel_data={
            "a": {
                "push": {
                    "tokens": ["t2", "t1"],
                    "devices": [
                        {"token": "t2", "locale": None, "timezone": "UTC"},
                        {"token": "t1", "locale": "fr", "timezone": None},
                    ],
                }
            }
        },
    ),
    case(
        "rule 31: removing a token leaves the others, and what else was set",
        [
            set_channel_data("a", "push", {"tokens": ["t1", "t2"], "topic": "news"}, at=1),
            remove_push_token("a", "push", "t1", at=2),
            add_push_token("a", "push", "t3", at=3),
        ],
        channel_data={"a": {"push": {"tokens": ["t2", "t3"], "topic": "news"}}},
    ),
    case(
        "rule 31: setting the channel's data voids the tokens that are older, and none that is newer",
        [
            add_push_token("a", "push", "old", at=1),
            set_channel_data("a", "push", {"tokens": ["t1"]}, at=2),
            add_push_token("a", "push", "new", at=3),
            identify("b", at=2, channel_data={"push": {"tokens": ["t1"]}}),
            remove_push_token("b", "push", "t1", at=1),
        ],
        channel_data={"a": {"push": {"tokens": ["t1", "new"]}}, "b": {"push": {"tokens": ["t1"]}}},
    ),
    case(
        "rule 31: removing the channel's data voids older tokens, and a newer one makes it anew",
        [
            add_push_token("a", "push", "old", at=1),
            unset_channel_data("a", "push", at=2),
            add_push_token("a", "push", "new", at=3),
        ],
        channel_data={"a": {"push": {"tokens": ["new"]}}},
    ),
    case(
        "rule 31: with its last token the channel's data is gone",
        [add_push_token("a", "push", "t1", at=1, device={"locale": "de"}), remove_push_token("a", "push", "t1", at=2)],
        channel_data={},
        users={"a": {}},
    ),
    case(
        "rule 31: adding a token creates an unknown user, and removing one does not",
        [
            add_push_token("a", "push", "t1", at=1, job="added"),
            remove_push_token("b", "push", "t1", at=1),
            remove_push_token("a", "other", "t1", at=2, job="removed"),
        ],
        updated={"a": "removed"},
        channel_data={"a": {"push": {"tokens": ["t1"]}}},
    ),
    case(
        "rule 31: tokens follow a merged-away id",
        [
            add_push_token("a", "push", "t1", at=1),
            identify("guest", at=1),
            merge("a", "guest", at=2),
            add_push_token("guest", "push", "t2", at=3),
            remove_push_token("guest", "push", "t1", at=4),
        ],
        channel_data={"a": {"push": {"tokens": ["t2"]}}},
    ),
    case(
        "rules 13 and 31: a merge puts the tokens and devices of both together when asked to",
        [
            add_push_token("a", "push", "t1", at=1),
            add_push_token("guest", "push", "t2", at=1, device={"locale": "de"}),
            add_push_token("guest", "push", "t1", at=1, plus=1, device={"locale": "fr"}),
            add_push_token("guest", "other", "t3", at=1),
            merge("a", "guest", at=2, merge_tokens=True),
        ],
        channel_data={
            "a": {
                "push": {
                    "tokens": ["t1", "t2"],
                    "devices": [{"token": "t2", "locale": "de", "timezone": None}],
                },
                "other": {"tokens": ["t3"]},
            }
        },
    ),
    case(
        "rules 13 and 31: a channel that a token had made is the primary's own, however often the token is added later",
        [
            identify("b", at=0),
            add_push_token("a", "push", "t1", at=1),
            set_channel_data("b", "push", {"tokens": ["t2"]}, at=1),
            merge("a", "b", at=2),
            add_push_token("a", "push", "t1", at=3),
        ],
        channel_data={"a": {"push": {"tokens": ["t1"]}}},
    ),
    case(
        "rules 10 and 31: an id used again inherits no token",
        [
            add_push_token("a", "push", "t1", at=1),
            delete("a", at=2),
            add_push_token("a", "push", "t2", at=3),
        ],
        channel_data={"a": {"push": {"tokens": ["t2"]}}},
    ),
    case(
        "rule 31: a token that several users have is used for the one that sent it last",
        [
            identify("c", at=0),
            add_push_token("a", "push", "t1", at=1),
            add_push_token("a", "push", "t2", at=1, plus=1),
            add_push_token("b", "push", "t1", at=2),
            add_push_token("c", "other", "t1", at=3),
        ],
        channel_data={
            "a": {"push": {"tokens": ["t1", "t2"]}},
            "b": {"push": {"tokens": ["t1"]}},
            "c": {"other": {"tokens": ["t1"]}},
        },
        tokens={"push:t1": "b", "push:t2": "a", "other:t1": "c"},
    ),
    case(
        "rule 31: a token that is sent again comes back",
        [
            add_push_token("a", "push", "t1", at=1),
            add_push_token("b", "push", "t1", at=2),
            add_push_token("a", "push", "t1", at=3),
        ],
        tokens={"push:t1": "a"},
    ),
    case(
        "rule 31: a token is sent with all data of a channel too",
        [
            add_push_token("a", "push", "t1", at=1),
            set_channel_data("b", "push", {"tokens": ["t1", "t2"]}, at=2),
            identify("c", at=3, channel_data={"push": {"tokens": ["t2"]}}),
        ],
        tokens={"push:t1": "b", "push:t2": "c"},
    ),
    case(
        "rule 31: a token that the last user removed, or replaced, goes back to no other",
        [
            add_push_token("a", "push", "t1", at=1),
            add_push_token("a", "push", "t2", at=1, plus=1),
            add_push_token("b", "push", "t1", at=2),
            set_channel_data("b", "push", {"tokens": ["t2"]}, at=3),
            remove_push_token("b", "push", "t1", at=4),
            set_channel_data("b", "push", {}, at=5),
        ],
        tokens={"push:t1": "b", "push:t2": "b"},
    ),
    case(
        "rule 31: removing a token that another user has sent since changes nothing",
        [
            add_push_token("a", "push", "t1", at=1),
            add_push_token("b", "push", "t1", at=2),
            remove_push_token("a", "push", "t1", at=3),
        ],
        channel_data={"b": {"push": {"tokens": ["t1"]}}},
        tokens={"push:t1": "b"},
    ),
    case(
        "rules 16 and 31: what a merged-away id has sent, the primary has sent",
        [
            add_push_token("guest", "push", "t1", at=1),
            add_push_token("b", "push", "t1", at=2),
            add_push_token("guest", "push", "t1", at=3),
            add_push_token("guest", "push", "t2", at=3),
            merge("a", "guest", at=40, merge_tokens=True),
            add_push_token("b", "push", "t2", at=41),
            add_push_token("a", "push", "t2", at=42),
            add_push_token("b", "other", "t1", at=41),
            add_push_token("guest", "other", "t1", at=42),
        ],
        tokens={"push:t1": "a", "push:t2": "a", "other:t1": "a"},
    ),
    case(
        "rules 16 and 31: of what both sides of a merge have sent, the later time counts",
        [
            add_push_token("a", "push", "t1", at=1),
            add_push_token("b", "push", "t1", at=2),
            add_push_token("guest", "push", "t1", at=3),
            merge("a", "guest", at=4),
            add_push_token("guest2", "push", "t2", at=1),
            add_push_token("b", "push", "t2", at=2),
            add_push_token("a", "push", "t2", at=3),
            merge("a", "guest2", at=4),
        ],
        tokens={"push:t1": "a", "push:t2": "a"},
    ),
    case(
        "rules 10 and 31: what a user had sent before it was deleted counts no more",
        [
            add_push_token("a", "push", "t1", at=1),
            add_push_token("a", "push", "t2", at=1),
            add_push_token("b", "push", "t1", at=2),
            add_push_token("guest", "push", "t2", at=2),
            merge("b", "guest", at=3),
            delete("b", at=4),
            identify("b", at=5),
        ],
        tokens={"push:t1": "a", "push:t2": "a"},
    ),
)
