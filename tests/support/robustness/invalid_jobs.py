"""Jobs spoilt in one place each, and things that are no job: what a worker may find in its queue, and what must be said
of it.

The good jobs below hold every field there is; each field is of a sort, and each sort has values that it refuses.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from tests.support.robustness.invalid_values import ABSENT, INVALID_VALUES, RAW, Raw

AT: Final = 1_700_000_000_000_000
Path = tuple[str | int, ...]
MARKED: Final = "8c7f4a52-3f0e-4f0a-9d8b-000000000001"

GOOD: Final[dict[str, dict[str, Any]]] = {
    "identify": {
        "user": {
            "id": "u",
            "traits": {"plan": "pro"},
            "preferences": {"default": {"workflows": {"w": True}}},
            "channel_data": {"apns": {"tokens": ["t"]}},
        }
    },
    "delete": {"user_id": "u"},
    "bulk_delete": {"user_ids": ["u", "v"]},
    "merge": {"primary_id": "u", "secondary_id": "v", "keep_opt_outs": False, "merge_tokens": False},
    "set_preferences": {"user_id": "u", "set_id": "default", "settings": {"categories": {"c": False}}},
    "update_preferences": {"user_id": "u", "set_id": "default", "changes": {"categories": {"c": None}}},
    "unset_preferences": {"user_id": "u", "set_id": "default"},
    "bulk_set_preferences": {"user_ids": ["u"], "set_id": "default", "settings": {"channel_types": {"push": True}}},
    "set_channel_data": {"user_id": "u", "channel_id": "apns", "data": {"tokens": ["t"]}},
    "add_push_token": {"user_id": "u", "channel_id": "apns", "token": "t", "device": {"locale": "de"}},
    "remove_push_token": {"user_id": "u", "channel_id": "apns", "token": "t"},
    "unset_channel_data": {"user_id": "u", "channel_id": "apns"},
    "trigger": {
        "workflow": "w",
        "recipients": ["u", {"id": "v", "traits": {"plan": "pro"}}],
        "actor": "u",
        "data": {"n": 1},
        "tenant": "t",
        "categories": ["c"],
        "channels": ["in_app"],
    },
    "mark": {"message_ids": [MARKED], "engagement": "seen"},
    "mark_all": {"user_id": "u", "channel": "in_app", "engagement": "seen"},
}
"""A good job of each kind but `bulk_identify`, in which users are rejected one by one."""

SORTS: Final[dict[str, dict[Path, str]]] = {
    "identify": {
        ("user",): "user update",
        ("user", "id"): "user_id",
        ("user", "traits"): "object",
        ("user", "traits", "plan"): "value",
        ("user", "traits", "email"): "attribute",
        ("user", "traits", "phone_number"): "attribute",
        ("user", "traits", "avatar"): "attribute",
        ("user", "traits", "locale"): "attribute",
        ("user", "traits", "timezone"): "attribute",
        ("user", "traits", "created_at"): "attribute",
        ("user", "traits", "name"): "name",
        ("user", "traits", "id"): "reserved",
        ("user", "traits", "updated_at"): "reserved",
        ("user", "traits", "preferences"): "reserved",
        ("user", "traits", "channel_data"): "reserved",
        ("user", "preferences"): "object",
        ("user", "preferences", "default"): "settings",
        ("user", "channel_data"): "object",
        ("user", "channel_data", "apns"): "object",
        ("user", "channel_data", "apns", "tokens"): "value",
        ("user", "surprise"): "unknown",
    },
    "delete": {("user_id",): "user_id"},
    "bulk_delete": {("user_ids",): "list", ("user_ids", 1): "listed user_id"},
    "merge": {
        ("primary_id",): "user_id",
        ("secondary_id",): "user_id",
        ("keep_opt_outs",): "flag",
        ("merge_tokens",): "flag",
    },
    "set_preferences": {("user_id",): "user_id", ("set_id",): "key", ("settings",): "settings"},
    "update_preferences": {("user_id",): "user_id", ("set_id",): "key", ("changes",): "changes"},
    "unset_preferences": {("user_id",): "user_id", ("set_id",): "key"},
    "bulk_set_preferences": {
        ("user_ids",): "list",
        ("user_ids", 0): "listed user_id",
        ("set_id",): "key",
        ("settings",): "settings",
    },
    "set_channel_data": {
        ("user_id",): "user_id",
        ("channel_id",): "key",
        ("data",): "object",
        ("data", "tokens"): "value",
    },
    "add_push_token": {
        ("user_id",): "user_id",
        ("channel_id",): "key",
        ("token",): "token",
        ("device", "locale"): "attribute",
        ("device", "timezone"): "attribute",
        ("device", "surprise"): "unknown",
    },
    "remove_push_token": {("user_id",): "user_id", ("channel_id",): "key", ("token",): "token"},
    "unset_channel_data": {("user_id",): "user_id", ("channel_id",): "key"},
    "trigger": {
        ("workflow",): "key",
        ("recipients",): "list",
        ("recipients", 0): "recipient",
        ("recipients", 1, "id"): "user_id",
        ("recipients", 1, "traits", "plan"): "value",
        ("recipients", 1, "traits", "email"): "attribute",
        ("actor",): "actor",
        ("data",): "object",
        ("data", "n"): "value",
        ("tenant",): "tenant",
        ("categories",): "names",
        ("categories", 0): "listed key",
        ("channels",): "channels",
        ("channels", 0): "listed key",
    },
    "mark": {("message_ids",): "list", ("message_ids", 0): "message_id", ("engagement",): "engagement"},
    "mark_all": {("user_id",): "user_id", ("channel",): "key", ("engagement",): "engagement"},
}
EVERY_JOB: Final[dict[Path, str]] = {
    ("id",): "job_id",
    ("occurred_at",): "time",
    ("deferred",): "flag",
    ("surprise",): "unknown",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class InvalidCase:
    """A message, the code of the dead letter that it becomes, and a word that its reason must hold."""

    name: str
    message: object
    code: str
    word: str


@cache
def corpus() -> tuple[InvalidCase, ...]:
    """Every case; no two have the same message."""
    from tests.support.robustness.unknown_jobs import unknown_jobs  # which needs the good jobs of this file

    cases = {repr(case.message): case for case in (*invalid_jobs(), *unknown_jobs())}
    return tuple(cases.values())


def invalid_jobs() -> Iterator[InvalidCase]:
    """Each good job with each of its fields spoilt in every way."""
    number = 0
    for kind, body in GOOD.items():
        for path, sort in (EVERY_JOB | SORTS[kind]).items():
            for name, value in INVALID_VALUES[sort].items():
                number += 1
                job = {"v": 1, "kind": kind, "id": f"bad-{number}", "occurred_at": AT + number, **deepcopy(body)}
                text = _text(job, path, value)
                code = value.code if isinstance(value, Raw) else "invalid"
                yield InvalidCase(
                    name=f"{kind}: {_shown(path)} {name}", message=text, code=code, word=_word(path, code)
                )


def _text(job: dict[str, Any], path: Path, value: object) -> str:
    inner: Any = job
    for part in path[:-1]:
        inner = inner[part]
    if value is ABSENT:
        del inner[path[-1]]
    else:
        inner[path[-1]] = RAW if isinstance(value, Raw) else value
    text = json.dumps(job)
    return text.replace(f'"{RAW}"', value.text) if isinstance(value, Raw) else text


def _word(path: Path, code: str) -> str:
    """The name of the field, which the reason must hold; text that is no JSON at all has no fields."""
    return next(part for part in reversed(path) if isinstance(part, str)) if code == "invalid" else ""


def _shown(path: Path) -> str:
    return ".".join(map(str, path))
