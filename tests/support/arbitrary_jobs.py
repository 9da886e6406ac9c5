"""Hypothesis strategies: any job that the contract allows, with unusual ids, keys and values, and any other message."""

from __future__ import annotations

import json
from typing import Any, Final, get_args

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from rollbook_shared.domain.attributes import ATTRIBUTES, RESERVED
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import MODELS, Engagement, Job

storable_text: Final = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
_numbers: Final = (
    st.integers(-(1 << 1024) + 1, (1 << 1024) - 1) | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
)
values: Final[SearchStrategy[Any]] = st.recursive(
    st.none() | st.booleans() | _numbers | storable_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(storable_text, inner, max_size=3),
    max_leaves=6,
)
"""Any JSON value that can be kept."""

user_ids: Final = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0/#"), min_size=1, max_size=16
) | st.sampled_from(["x" * 256, "ann@example.com", "!", "~", " ", "__proto__"])
job_ids: Final = st.from_regex(r"[A-Za-z0-9._:\-]{1,128}", fullmatch=True)
keys: Final = storable_text.filter(bool)
_timestamps: Final = st.integers(0, (1 << 55) - 1)
_objects: Final = st.dictionaries(storable_text, values, max_size=3)

GOOD_ATTRIBUTES: Final[dict[str, list[str]]] = {
    "email": ["ann@example.com", "o'brien+1@exämple.org"],
    "name": ["", "Ann", "李"],
    "avatar": [
        "https://example.com/a.png",
        "https://exämple.com/@ann?size=2#x",
        "data:image/png;base64,AA==",
    ],
    "phone_number": ["+14155550100"],
    "locale": ["en", "en-GB", "zh_Hant_TW"],
    "timezone": ["Europe/Berlin", "UTC"],
    "created_at": ["2026-01-31T09:30:00Z", "2026-01-31t09:30:00.123456+05:30", "0001-01-01T00:00:00Z"],
}
_attributes: Final = st.fixed_dictionaries(
    {}, optional={name: st.none() | st.sampled_from(good) for name, good in GOOD_ATTRIBUTES.items()}
)
_properties: Final = st.dictionaries(
    storable_text.filter(lambda name: name not in ATTRIBUTES | RESERVED), values, max_size=3
)
_switches: Final = st.dictionaries(storable_text, st.booleans(), max_size=2)
_refined: Final = st.dictionaries(
    storable_text, st.booleans() | st.fixed_dictionaries({"channel_types": _switches}), max_size=2
)
_settings: Final = st.fixed_dictionaries(
    {}, optional={"workflows": _refined, "categories": _refined, "channel_types": _switches}
)
_changes: Final = st.fixed_dictionaries(
    {},
    optional={
        "workflows": st.dictionaries(storable_text, st.none() | st.booleans(), max_size=2),
        "categories": st.dictionaries(
            storable_text, st.none() | st.fixed_dictionaries({"channel_types": _switches}), max_size=2
        ),
        "channel_types": st.dictionaries(storable_text, st.none() | st.booleans(), max_size=2),
    },
)
user_updates: Final = st.fixed_dictionaries(
    {"id": user_ids},
    optional={
        "traits": st.builds(lambda one, other: {**one, **other}, _properties, _attributes),
        "preferences": st.dictionaries(keys, _settings, max_size=2),
        "channel_data": st.dictionaries(keys, _objects, max_size=2),
    },
)
_several: Final = st.lists(user_ids, min_size=1, max_size=3)
_engagements: Final = st.sampled_from(get_args(Engagement))
_bodies: Final[dict[str, dict[str, SearchStrategy[Any]]]] = {
    "identify": {"user": user_updates},
    "bulk_identify": {"users": st.lists(user_updates, min_size=1, max_size=3)},
    "delete": {"user_id": user_ids},
    "bulk_delete": {"user_ids": _several},
    "merge": {"primary_id": user_ids, "secondary_id": user_ids},
    "set_preferences": {"user_id": user_ids, "set_id": keys, "settings": _settings},
    "update_preferences": {"user_id": user_ids, "set_id": keys, "changes": _changes},
    "unset_preferences": {"user_id": user_ids, "set_id": keys},
    "bulk_set_preferences": {"user_ids": _several, "set_id": keys, "settings": _settings},
    "set_channel_data": {"user_id": user_ids, "channel_id": keys, "data": _objects},
    "add_push_token": {
        "user_id": user_ids,
        "channel_id": keys,
        "token": keys,
        "device": st.none()
        | st.fixed_dictionaries(
            {},
            optional={name: st.none() | st.sampled_from(GOOD_ATTRIBUTES[name]) for name in ("locale", "timezone")},
        ),
    },
    "remove_push_token": {"user_id": user_ids, "channel_id": keys, "token": keys},
    "unset_channel_data": {"user_id": user_ids, "channel_id": keys},
    "trigger": {
        "workflow": keys,
        "recipients": st.lists(user_ids | user_updates, min_size=1, max_size=3),
        "actor": st.none() | user_ids | user_updates,
        "data": _objects,
        "tenant": st.none() | keys,
        "channels": st.lists(keys, min_size=1, max_size=3),
    },
    "mark": {
        "message_ids": st.lists(st.uuids(), min_size=1, max_size=3),
        "engagement": _engagements,
        "user_id": st.none() | user_ids,
    },
    "mark_all": {"user_id": user_ids, "channel": keys, "engagement": _engagements},
}


def jobs_of(kind: str) -> SearchStrategy[Job]:
    """Any job of one kind."""
    bodies = st.fixed_dictionaries(
        {"id": job_ids, "occurred_at": _timestamps, **_bodies[kind]}, optional={"deferred": st.booleans()}
    )
    if kind == "merge":
        bodies = bodies.filter(lambda body: body["primary_id"] != body["secondary_id"])
    return bodies.map(MODELS[kind].model_validate)


any_job: Final = st.one_of(*map(jobs_of, MODELS))

_any_text: Final = st.text(st.characters(), max_size=12)  # NUL and halves of surrogate pairs too
junk: Final[SearchStrategy[Any]] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_any_text, inner, max_size=3),
    max_leaves=6,
)
"""What Python makes of JSON, and NaN, NUL and broken text with it."""


def _with(payload: dict[str, Any], field: str, value: Any) -> dict[str, Any]:
    return {**payload, field: value}


_payloads: Final = any_job.map(lambda job: json.loads(encode(job)))
_fields: Final = st.sampled_from(
    [
        "v",
        "id",
        "kind",
        "occurred_at",
        "user",
        "users",
        "user_id",
        "user_ids",
        "recipients",
        "actor",
        "settings",
        "data",
    ]
)
_spoilt: Final = st.builds(_with, _payloads, _fields | _any_text, junk | user_updates | st.lists(user_updates | junk))
_cut: Final = st.builds(lambda job, length: encode(job)[:length], any_job, st.integers(0, 200))
messages: Final[SearchStrategy[Any]] = st.one_of(
    _any_text, junk, junk.map(json.dumps), _spoilt.map(json.dumps), _cut, st.binary(max_size=20)
)
"""Whatever may be found in a queue: jobs cut short, spoilt in one field, other people's JSON, no text at all."""
