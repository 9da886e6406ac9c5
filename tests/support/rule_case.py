"""Rules as given/when/then: the jobs, and the part of the world that they must lead to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypedDict, Unpack

from tests.support.builders import DAY, DAY_0

from rollbook_shared.domain.push_tokens import token_hash
from rollbook_shared.domain.stamps import Stamp, job_id_of
from rollbook_shared.jobs.models import Job
from rollbook_shared.reference.world import World

_CASE_TOKENS: Final = ("push:t1", "push:t2", "other:t1")
"""The tokens of the cases."""
MISSING: Final = "missing"
"""Stands for an actor who is no user now."""


class Then(TypedDict, total=False):
    """What must be seen. A part that is not named may be anything; one that is named holds nothing else."""

    users: Mapping[str, Mapping[str, Any]]
    """Each user's attributes and properties."""
    attributes: Mapping[str, Mapping[str, Any]]
    preferences: Mapping[str, Mapping[str, Any]]
    """Only of users who have some."""
    channel_data: Mapping[str, Mapping[str, Any]]
    """Only of users who have some."""
    tokens: Mapping[str, str]
    """Each push token that users have sent, as `channel:token`, and for whom it is used."""
    merged: Mapping[str, str]
    feeds: Mapping[str, Sequence[str]]
    """Owner to the workflows of the messages: `hello` in the app, `hello/email` elsewhere."""
    engagements: Mapping[str, Sequence[str]]
    """Of each message that has any, as `owner:workflow`, its engagements, each with the day on which it was set."""
    activities: Mapping[str, Sequence[str]]
    """Owner to the workflows of the activities."""
    actors: Mapping[str, str | None]
    """Workflow to its actor, or `MISSING`, as all its messages and activities show it."""
    updated: Mapping[str, str]
    """User to the id of the job that changed it last."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One line of a rule."""

    rule: str
    given: tuple[Job, ...]
    then: Then

    def __post_init__(self) -> None:
        ids = [job.id for job in self.given]
        assert len(ids) == len(set(ids)), f"{self.rule}: two jobs have one id, so that one of them does nothing"


def case(rule: str, given: Sequence[Job], **then: Unpack[Then]) -> Case:
    return Case(rule=rule, given=tuple(given), then=then)


def seen(world: World, parts: Then) -> dict[str, Any]:
    """The named parts of the world, in the form of a case."""
    users = world["users"]
    whole: Then = {
        "users": {id_: {**user["attributes"], **user["properties"]} for id_, user in users.items()},
        "attributes": {id_: user["attributes"] for id_, user in users.items()},
        "preferences": {id_: user["preferences"] for id_, user in users.items() if user["preferences"]},
        "channel_data": {id_: user["channel_data"] for id_, user in users.items() if user["channel_data"]},
        "tokens": _tokens(world) if "tokens" in parts else {},
        "merged": world["merged"],
        "feeds": _by_owner(
            (row["owner"], row["workflow"] + ("" if row["channel"] == "in_app" else f"/{row['channel']}"))
            for row in world["messages"].values()
        ),
        "engagements": {
            f"{row['owner']}:{row['workflow']}" + ("" if row["channel"] == "in_app" else f"/{row['channel']}"): sorted(
                f"{name} {(at - DAY_0) // DAY}" for name, at in row["engagements"].items()
            )
            for row in world["messages"].values()
            if row["engagements"]
        },
        "activities": _by_owner((row["owner"], row["workflow"]) for row in world["activities"].values()),
        "actors": _actors(world),
        "updated": {id_: job_id_of(Stamp(user["updated"])) for id_, user in users.items()},
    }
    return {part: seen for part, seen in whole.items() if part in parts}


def _tokens(world: World) -> dict[str, str]:
    """Whose each token is, by its name; a world has hashes of tokens."""
    names = {(name.partition(":")[0], token_hash(name.partition(":")[2]).hex()): name for name in _CASE_TOKENS}
    return {
        names[channel_id, token]: user_id
        for user_id, user in world["users"].items()
        for channel_id, tokens in user["push_tokens"].items()
        for token in tokens
    }


def _by_owner(rows: Any) -> dict[str, list[str]]:
    owned: dict[str, list[str]] = {}
    for owner, workflow in sorted(rows):
        owned.setdefault(owner, []).append(workflow)
    return owned


def _actors(world: World) -> dict[str, str | None]:
    actors: dict[str, str | None] = {}
    for row in (*world["messages"].values(), *world["activities"].values()):
        actor = MISSING if row["missing_actor"] else row["actor"]
        assert actors.setdefault(row["workflow"], actor) == actor, f"{row['workflow']} shows two actors"
    return actors
