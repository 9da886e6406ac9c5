"""Hypothesis strategies: jobs that affect the same users, and the batches in which they reach the workers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple, get_args
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from tests.support.builders import day

from rollbook_shared.domain.deterministic_ids import message_id
from rollbook_shared.jobs.models import MODELS, Engagement, Job

_NONE: Final = UUID(int=0)
"""Of no message."""

JOB_IDS: Final = tuple(f"j{number}{tail}" for tail in ("", "-", "0", ":x") for number in (5, 1, 8, 2, 9, 3))
"""Not in the order of the alphabet, and some begin with others."""

# Days that lie exactly a history (30 days) apart, and few enough that different jobs often happen at the same time.
_days: Final = st.sampled_from([0, 1, 2, 30, 31, 60])
_microseconds: Final = st.sampled_from([0, 0, 0, 0, -1, 1])
timestamps: Final = st.builds(day, _days, _microseconds)

user_ids: Final = st.sampled_from("abcd")
_scalars: Final = st.sampled_from([None, 0, 1, True, "x", "y"])
_leaves: Final = _scalars | st.lists(st.integers(0, 1), max_size=2)
nested: Final[SearchStrategy[Any]] = st.recursive(
    _leaves, lambda inner: st.dictionaries(st.sampled_from("pqr"), inner, max_size=3), max_leaves=4
)
properties: Final = st.dictionaries(st.sampled_from("klm"), nested, max_size=3)
_attributes: Final = st.fixed_dictionaries(
    {},
    optional={
        "email": st.sampled_from([None, "ann@example.com", "bo@example.com"]),
        "name": st.sampled_from([None, "", "Ann", "Bo"]),
    },
)
_traits: Final = st.builds(lambda one, other: {**one, **other}, properties, _attributes)

_by_channel: Final = st.dictionaries(st.sampled_from(["in_app", "email"]), st.booleans(), max_size=2)
_choices: Final = st.booleans() | st.fixed_dictionaries({"channel_types": _by_channel})
_settings: Final = st.fixed_dictionaries(
    {},
    optional={
        "workflows": st.dictionaries(st.sampled_from(["hello", "digest"]), _choices, max_size=2),
        "categories": st.dictionaries(st.sampled_from(["news", "ads"]), _choices, max_size=2),
        "channel_types": _by_channel,
    },
)
_changes: Final = st.fixed_dictionaries(
    {},
    optional={
        "workflows": st.dictionaries(st.sampled_from(["hello", "digest"]), st.none() | _choices, max_size=2),
        "categories": st.dictionaries(st.sampled_from(["news", "ads"]), st.none() | _choices, max_size=2),
        "channel_types": st.dictionaries(st.sampled_from(["in_app", "email"]), st.none() | st.booleans(), max_size=2),
    },
)
_set_ids: Final = st.sampled_from(["default", "t1"])
_channel_ids: Final = st.sampled_from(["push", "chat"])
_channel_data: Final = st.dictionaries(st.sampled_from(["tokens", "p"]), nested, max_size=2) | st.fixed_dictionaries(
    {"tokens": st.lists(st.sampled_from("xyz"), max_size=3)},
    optional={"devices": st.lists(st.fixed_dictionaries({"token": st.sampled_from("xyz")}), max_size=2)},
)


def _rarely(values: SearchStrategy[dict[str, Any]]) -> SearchStrategy[dict[str, Any]]:
    return st.one_of(st.just({}), st.just({}), values)


user_updates: Final = st.fixed_dictionaries(
    {
        "id": user_ids,
        "traits": _traits,
        "preferences": _rarely(st.dictionaries(_set_ids, _settings, max_size=2)),
        "channel_data": _rarely(st.dictionaries(_channel_ids, _channel_data, max_size=2)),
    }
)
_people: Final = user_ids | user_updates
_channels: Final = st.sampled_from([["in_app"], ["in_app"], ["in_app", "email"], ["email", "email"]])

_several: Final = st.lists(user_ids, min_size=1, max_size=3)


def _kind(kind: str, **fields: SearchStrategy[Any]) -> SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"kind": st.just(kind), "occurred_at": timestamps, **fields})


_identify: Final = _kind("identify", user=user_updates)
_gathered: Final = st.lists(st.tuples(user_updates, timestamps), min_size=1, max_size=3).map(
    lambda pairs: {
        "kind": "bulk_identify",
        "occurred_at": max(at for _, at in pairs),
        "users": [user for user, _ in pairs],
        "timestamps": [at for _, at in pairs],
    }
)
_delete: Final = _kind("delete", user_id=user_ids)
_merge: Final = st.permutations("abcd").flatmap(
    lambda ids: _kind(
        "merge",
        primary_id=st.just(ids[0]),
        secondary_id=st.just(ids[1]),
        keep_opt_outs=st.booleans(),
        merge_tokens=st.booleans(),
    )
)
_trigger: Final = _kind(
    "trigger",
    workflow=st.sampled_from(["hello", "digest"]),
    recipients=st.lists(_people, min_size=1, max_size=3),
    actor=st.none() | _people,
    channels=_channels,
    tenant=st.sampled_from([None, "t1"]),
    categories=st.lists(st.sampled_from(["news", "ads"]), max_size=2),
)
_token: Final[dict[str, SearchStrategy[Any]]] = {
    "user_id": user_ids,
    "channel_id": st.just("push"),
    "token": st.sampled_from("xyz"),
}
_engaged: Final[dict[str, SearchStrategy[Any]]] = {
    "engagement": st.sampled_from(get_args(Engagement)),
    "user_id": st.none() | user_ids,
}
bodies: Final[SearchStrategy[dict[str, Any]]] = st.one_of(
    _identify,
    _identify,
    _kind("bulk_identify", users=st.lists(user_updates, min_size=1, max_size=3)),
    _delete,
    _kind("bulk_delete", user_ids=_several),
    _merge,
    _merge,
    _merge,
    _trigger,
    _trigger,
    _kind("set_preferences", user_id=user_ids, set_id=_set_ids, settings=_settings),
    _kind("update_preferences", user_id=user_ids, set_id=_set_ids, changes=_changes),
    _kind("update_preferences", user_id=user_ids, set_id=_set_ids, changes=_changes),
    _kind("unset_preferences", user_id=user_ids, set_id=_set_ids),
    _kind("bulk_set_preferences", user_ids=_several, set_id=_set_ids, settings=_settings),
    _kind("mark", message_ids=st.lists(st.integers(0, 63), min_size=1, max_size=4), **_engaged),
    _kind("mark", message_ids=st.lists(st.integers(0, 63), min_size=1, max_size=4), **_engaged),
    _kind("mark_all", channel=st.sampled_from(["in_app", "email"]), **{**_engaged, "user_id": user_ids}),
    _kind("set_channel_data", user_id=user_ids, channel_id=_channel_ids, data=_channel_data),
    _kind("add_push_token", **_token, device=st.none() | st.just({"locale": "de", "timezone": None})),
    _kind("add_push_token", **_token, device=st.none() | st.just({"locale": "de", "timezone": None})),
    _kind("remove_push_token", **_token),
    _kind("unset_channel_data", user_id=user_ids, channel_id=_channel_ids),
)


def _jobs_of(bodies: Sequence[dict[str, Any]]) -> list[Job]:
    named = [{**body, "id": job_id} for job_id, body in zip(JOB_IDS, bodies, strict=False)]
    messages = sorted({id_ for body in named if body["kind"] == "trigger" for id_ in _messages_of(body)})
    for body in named:
        if body["kind"] == "mark":  # of messages that the other jobs make, if they make any
            body["message_ids"] = [
                messages[number % len(messages)] if messages else _NONE for number in body["message_ids"]
            ]
    return [MODELS[body["kind"]].model_validate(body) for body in named]


def _messages_of(trigger: dict[str, Any]) -> Iterator[UUID]:
    for person in trigger["recipients"]:
        for channel in trigger["channels"]:
            yield message_id(trigger["id"], person if isinstance(person, str) else person["id"], channel)


job_sets: Final[SearchStrategy[list[Job]]] = st.lists(bodies, max_size=14).map(_jobs_of)
"""Jobs with different ids, each with one time for all its users."""
_gathered_too: Final[SearchStrategy[list[Job]]] = st.lists(bodies | _gathered, max_size=14).map(_jobs_of)


class Delivery(NamedTuple):
    """A set of jobs, and the batches in which they reach the workers: shuffled, with duplicates."""

    jobs: list[Job]
    batches: list[list[Job]]


@st.composite
def deliveries(draw: DrawFn) -> Delivery:
    jobs = draw(_gathered_too)
    again = draw(st.lists(st.sampled_from(jobs), max_size=6)) if jobs else []
    order = draw(st.permutations(jobs + again))
    cuts = sorted(draw(st.lists(st.integers(0, len(order)), max_size=4)))
    return Delivery(jobs, [list(order[start:end]) for start, end in pairwise([0, *cuts, len(order)])])
