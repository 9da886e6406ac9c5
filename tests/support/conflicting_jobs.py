"""Hypothesis strategies: jobs that affect the same users, and the batches in which they reach the workers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise, permutations
from typing import Any, Final, NamedTuple, get_args
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from tests.support.builders import day
from tests.support.few_choices import any_of, combinations, optional, sequences, weighted

from rollbook_shared.domain.deterministic_ids import message_id
from rollbook_shared.jobs.models import MODELS, Engagement, Job

_NONE: Final = UUID(int=0)
"""Of no message."""

JOB_IDS: Final = tuple(f"j{number}{tail}" for tail in ("", "-", "0", ":x") for number in (5, 1, 8, 2, 9, 3))
"""Not in the order of the alphabet, and some begin with others."""

# Days that lie exactly a history (30 days) apart, and few enough that different jobs often happen at the same time.
_DAYS: Final = (0, 1, 2, 30, 31, 60)
_MICROSECONDS: Final = (0, 0, 0, 0, -1, 1)
timestamps: Final = any_of([day(at, plus) for plus in _MICROSECONDS for at in _DAYS])

user_ids: Final = st.sampled_from("abcd")
_LEAVES: Final = [None, 0, 1, True, "x", "y", [], [0], [1], [0, 0], [0, 1], [1, 0], [1, 1]]
_FEW_LEAVES: Final = [None, 0, "x"]
_FLAT: Final = [
    *(found for found in combinations(p=_LEAVES, q=_LEAVES, r=_LEAVES) if len(found) <= 2),
    *(found for found in combinations(p=_FEW_LEAVES, q=_FEW_LEAVES, r=_FEW_LEAVES) if len(found) == 3),
]
_VALUES: Final = [*_LEAVES * 40, *_FLAT]
_deep: Final = optional(p=_VALUES, q=_VALUES, r=_VALUES)
nested: Final[SearchStrategy[Any]] = weighted((3, any_of(_VALUES)), (1, _deep))
properties: Final = weighted(
    (2, optional(k=_VALUES, l=_VALUES, m=_VALUES)),
    (1, optional(k=nested, l=nested, m=nested)),
)
_attributes: Final = any_of(
    combinations(email=[None, "ann@example.com", "bo@example.com"], name=[None, "", "Ann", "Bo"])
)
_traits: Final = st.builds(lambda one, other: {**one, **other}, properties, _attributes)

_by_channel: Final = combinations(in_app=[False, True], email=[False, True])
_choices: Final = [False, True, *({"channel_types": switches} for switches in _by_channel)]
_settings: Final = optional(
    workflows=combinations(hello=_choices, digest=_choices),
    categories=combinations(news=_choices, ads=_choices),
    channel_types=_by_channel,
)
_changed_choices: Final = [None, *_choices]
_changes: Final = optional(
    workflows=combinations(hello=_changed_choices, digest=_changed_choices),
    categories=combinations(news=_changed_choices, ads=_changed_choices),
    channel_types=combinations(in_app=[None, False, True], email=[None, False, True]),
)
_set_ids: Final = st.sampled_from(["default", "t1"])
_channel_ids: Final = st.sampled_from(["push", "chat"])
_tokens: Final = [{"tokens": tokens} for tokens in sequences("xyz", most=3)]
_devices: Final = [{}, *({"devices": devices} for devices in sequences([{"token": id_} for id_ in "xyz"], most=2))]
_channel_data: Final = weighted(
    (1, optional(tokens=nested, p=_VALUES)),
    (1, st.builds(lambda tokens, devices: {**tokens, **devices}, any_of(_tokens), any_of(_devices))),
)


def _rarely(values: SearchStrategy[dict[str, Any]]) -> SearchStrategy[dict[str, Any]]:
    return weighted((2, st.just({})), (1, values))


user_updates: Final = st.fixed_dictionaries(
    {
        "id": user_ids,
        "traits": _traits,
        "preferences": _rarely(optional(default=_settings, t1=_settings)),
        "channel_data": _rarely(optional(push=_channel_data, chat=_channel_data)),
    }
)
_people: Final = user_ids | user_updates
_channels: Final = st.sampled_from([["in_app"], ["in_app"], ["in_app", "email"], ["email", "email"]])

_several: Final = any_of(sequences("abcd", least=1, most=3))


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
_merge: Final = st.builds(
    lambda body, ids: {**body, "primary_id": ids[0], "secondary_id": ids[1]},
    _kind("merge", keep_opt_outs=st.booleans(), merge_tokens=st.booleans()),
    any_of(list(permutations("abcd", 2))),
)
_trigger: Final = _kind(
    "trigger",
    workflow=st.sampled_from(["hello", "digest"]),
    recipients=st.lists(_people, min_size=1, max_size=3),
    actor=st.none() | _people,
    channels=_channels,
    tenant=st.sampled_from([None, "t1"]),
    categories=any_of(sequences(["news", "ads"], most=2)),
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
bodies: Final[SearchStrategy[dict[str, Any]]] = weighted(
    (2, _identify),
    (1, _kind("bulk_identify", users=st.lists(user_updates, min_size=1, max_size=3))),
    (1, _delete),
    (1, _kind("bulk_delete", user_ids=_several)),
    (3, _merge),
    (2, _trigger),
    (1, _kind("set_preferences", user_id=user_ids, set_id=_set_ids, settings=_settings)),
    (2, _kind("update_preferences", user_id=user_ids, set_id=_set_ids, changes=_changes)),
    (1, _kind("unset_preferences", user_id=user_ids, set_id=_set_ids)),
    (1, _kind("bulk_set_preferences", user_ids=_several, set_id=_set_ids, settings=_settings)),
    (2, _kind("mark", message_ids=st.lists(st.integers(0, 63), min_size=1, max_size=4), **_engaged)),
    (1, _kind("mark_all", channel=st.sampled_from(["in_app", "email"]), **{**_engaged, "user_id": user_ids})),
    (1, _kind("set_channel_data", user_id=user_ids, channel_id=_channel_ids, data=_channel_data)),
    (2, _kind("add_push_token", **_token, device=st.none() | st.just({"locale": "de", "timezone": None}))),
    (1, _kind("remove_push_token", **_token)),
    (1, _kind("unset_channel_data", user_id=user_ids, channel_id=_channel_ids)),
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
