"""Preferences decide on the messages of a trigger (rule 19); how a merge treats them on request (rule 13)."""

from __future__ import annotations

from typing import Any, Final

from tests.support.builders import (
    delete,
    identify,
    merge,
    set_channel_data,
    set_preferences,
    trigger,
    unset_preferences,
)
from tests.support.rule_case import Case, case


def _with(settings: dict[str, Any], **fields: Any) -> list[Any]:
    """A user with these settings is sent `news`, a workflow of the category `ads`, in the app and by e-mail."""
    return [
        set_preferences("a", "default", settings, at=1),
        trigger("news", ["a"], at=2, channels=("in_app", "email"), categories=("ads",), **fields),
    ]


_BOTH: Final = {"a": ["news", "news/email"]}
_IN_APP: Final = {"a": ["news"]}
_NONE: Final[dict[str, list[str]]] = {}

EFFECTIVE_PREFERENCES: Final[tuple[Case, ...]] = (
    case("rule 19: with no settings every message is made", _with({}), feeds=_BOTH),
    case("rule 19: a setting that is true lets messages through", _with({"workflows": {"news": True}}), feeds=_BOTH),
    case("rule 19: a setting of something else does not apply", _with({"workflows": {"other": False}}), feeds=_BOTH),
    case("rule 19: a workflow that is not wanted", _with({"workflows": {"news": False}}), feeds=_NONE),
    case("rule 19: a category that is not wanted", _with({"categories": {"ads": False}}), feeds=_NONE),
    case("rule 19: a channel type that is not wanted", _with({"channel_types": {"email": False}}), feeds=_IN_APP),
    case(
        "rule 19: a workflow that is not wanted on one channel type",
        _with({"workflows": {"news": {"channel_types": {"email": False, "in_app": True}}}}),
        feeds=_IN_APP,
    ),
    case(
        "rule 19: a category that is not wanted on one channel type",
        _with({"categories": {"ads": {"channel_types": {"email": False}}}}),
        feeds=_IN_APP,
    ),
    case(
        "rule 19: one setting that says no is enough",
        _with({"workflows": {"news": True}, "categories": {"ads": False}, "channel_types": {"in_app": True}}),
        feeds=_NONE,
    ),
    case(
        "rule 19: an activity is made whatever is wanted",
        _with({"workflows": {"news": False}}),
        activities={"a": ["news"]},
    ),
    case(
        "rule 19: the tenant's set applies in place of the default",
        [*_with({"workflows": {"news": False}}, tenant="t1"), set_preferences("a", "t1", {}, at=1, plus=1)],
        feeds=_BOTH,
    ),
    case(
        "rule 19: without a set of the tenant's the default applies",
        _with({"workflows": {"news": False}}, tenant="t1"),
        feeds=_NONE,
    ),
    case(
        "rule 19: another tenant's set does not apply",
        [*_with({}), set_preferences("a", "t1", {"workflows": {"news": False}}, at=1, plus=1)],
        feeds=_BOTH,
    ),
    case(
        "rule 24: what is set after the trigger does not count for it",
        [*_with({}), set_preferences("a", "default", {"workflows": {"news": False}}, at=3)],
        feeds=_BOTH,
    ),
    case(
        "rule 24: what was set before the trigger counts, however it was set again later",
        [*_with({"workflows": {"news": False}}), set_preferences("a", "default", {}, at=3)],
        feeds=_NONE,
    ),
    case(
        "rule 24: a set that was taken away before the trigger does not count",
        [*_with({"workflows": {"news": False}}), unset_preferences("a", "default", at=1, plus=1)],
        feeds=_BOTH,
    ),
    case(
        "rule 4: settings given inline in the trigger count for it",
        [trigger("news", [identify("a", at=0, preferences={"default": {"workflows": {"news": False}}}).user], at=2)],
        feeds=_NONE,
    ),
    case(
        "rule 10: an id used again does not inherit what was unwanted",
        [
            *_with({"workflows": {"news": False}})[:1],
            delete("a", at=1, plus=1),
            identify("a", at=1, plus=2),
            *_with({})[1:],
        ],
        feeds=_BOTH,
    ),
    case(
        "rule 16: what is addressed to a merged-away id is asked of the primary",
        [
            set_preferences("a", "default", {"workflows": {"news": False}}, at=1),
            identify("guest", at=1),
            merge("a", "guest", at=2),
            trigger("news", ["guest"], at=3),
        ],
        feeds={},
    ),
    case(
        "rule 14: a message that the guest wanted is the primary's, who would not have wanted it",
        [
            set_preferences("a", "default", {"workflows": {"news": False}}, at=1),
            identify("guest", at=1),
            trigger("news", ["guest"], at=2),
            merge("a", "guest", at=3),
        ],
        feeds={"a": ["news"]},
    ),
    case(
        "rule 13: by default the secondary's opt-outs are lost where both have a set",
        [
            set_preferences("a", "default", {"workflows": {"x": True}}, at=1),
            set_preferences("b", "default", {"workflows": {"x": False, "y": False}}, at=1),
            merge("a", "b", at=2),
        ],
        preferences={"a": {"default": {"workflows": {"x": True}}}},
    ),
    case(
        "rule 13: with keep_opt_outs an opt-out in either set survives",
        [
            set_preferences(
                "a",
                "default",
                {
                    "workflows": {"x": True, "w": False, "z": {"channel_types": {"sms": False}}},
                    "channel_types": {"push": True},
                },
                at=1,
            ),
            set_preferences(
                "b",
                "default",
                {
                    "workflows": {"x": False, "y": {"channel_types": {"sms": False, "email": True}}, "w": True},
                    "categories": {"ads": False},
                    "channel_types": {"push": False, "email": True},
                },
                at=1,
            ),
            merge("a", "b", at=2, keep_opt_outs=True),
        ],
        preferences={
            "a": {
                "default": {
                    "workflows": {
                        "x": False,
                        "w": False,
                        "z": {"channel_types": {"sms": False}},
                        "y": {"channel_types": {"sms": False}},
                    },
                    "categories": {"ads": False},
                    "channel_types": {"push": False},
                }
            }
        },
    ),
    case(
        "rule 13: with merge_tokens the push tokens of one channel are put together",
        [
            set_channel_data("a", "apns", {"tokens": ["1", "2"], "kept": True}, at=1),
            set_channel_data("b", "apns", {"tokens": ["2", "3"], "lost": True}, at=1),
            set_channel_data("a", "chat", {"connections": [1]}, at=1, plus=1),
            set_channel_data("b", "chat", {"connections": [2]}, at=1, plus=1),
            merge("a", "b", at=2, merge_tokens=True),
        ],
        channel_data={"a": {"apns": {"tokens": ["1", "2", "3"], "kept": True}, "chat": {"connections": [1]}}},
    ),
    case(
        "rule 13: with merge_tokens a token that a list has twice is there once",
        [
            set_channel_data("a", "apns", {"tokens": ["1", "1", "2"]}, at=1),
            set_channel_data(
                "b", "apns", {"tokens": ["3", "2", "3"], "devices": [{"token": "3"}, {"token": "1"}]}, at=1
            ),
            merge("a", "b", at=2, merge_tokens=True),
        ],
        channel_data={"a": {"apns": {"tokens": ["1", "2", "3"], "devices": [{"token": "3"}]}}},
    ),
    case(
        "rule 13: with merge_tokens the list of a channel that only the secondary has stays as it was sent",
        [
            identify("a", at=1),
            set_channel_data("b", "apns", {"tokens": ["1", "1"]}, at=1),
            merge("a", "b", at=2, merge_tokens=True),
        ],
        channel_data={"a": {"apns": {"tokens": ["1", "1"]}}},
    ),
)
