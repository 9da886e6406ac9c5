"""The world that kept facts project to, in the shape of the reference.

On Postgres, views and SQL functions join triggers, messages and preferences with what the core projects. Here the same
is done in Python, so that the core is tested without a server.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Final

from rollbook_shared.domain.profile_sections import profile_of
from rollbook_shared.domain.push_tokens import token_hash
from rollbook_shared.domain.stamps import Stamp, occurred_at_of
from rollbook_shared.reference.preferences import effective_preferences, is_channel_enabled
from rollbook_shared.reference.world import World, WorldActivity, WorldMessage, WorldUser
from rollbook_worker.core import (
    ActivityCreated,
    EngagementChanged,
    Fact,
    MessageCreated,
    Projection,
    ResolvedUser,
    WorkflowTriggered,
    project,
)

HISTORY: Final = timedelta(days=30)


def world_of(facts: Iterable[Fact], *, history: timedelta = HISTORY) -> World:
    """What a reader sees of these facts, the rows with their owners of now."""
    facts = list(facts)
    return read_world(facts, project(facts, history // timedelta(microseconds=1)))


def read_world(facts: Iterable[Fact], projection: Projection) -> World:
    """What a reader sees of the rows in these facts, by what the core projected."""
    facts = list(facts)
    triggers = {fact.job_id: fact for fact in facts if isinstance(fact, WorkflowTriggered)}
    activities: dict[str, WorldActivity] = {}
    messages: dict[str, WorldMessage] = {}
    for fact in facts:
        if not isinstance(fact, (ActivityCreated, MessageCreated)):
            continue
        if (owner := owner_at(projection, fact.recipient, fact.stamp)) is None:
            continue
        trigger = triggers[fact.job_id]
        activity = _activity(trigger, owner, projection)
        if isinstance(fact, ActivityCreated):
            activities[str(fact.id)] = activity
        elif is_channel_enabled(
            effective_preferences(_sets_at(projection, fact.recipient, fact.stamp), trigger.tenant),
            workflow=trigger.workflow,
            categories=trigger.categories,
            channel=fact.channel,
        ):
            engagements = _engagements(fact, owner, facts, projection)
            messages[str(fact.id)] = {**activity, "channel": fact.channel, "engagements": engagements}
    return {
        "users": {id_: _user(id_, user, projection) for id_, user in projection.users.items()},
        "merged": dict(projection.canonical_ids),
        "messages": messages,
        "activities": activities,
    }


def owner_at(projection: Projection, user_id: str, at: Stamp) -> str | None:
    """Who owns what was addressed to the id at that stamp: no user, if it stood for none then, or for one deleted
    since.
    """
    periods = projection.ownership_periods.get(user_id, ())
    index = bisect(periods, at, key=lambda period: period.valid_from)
    return periods[index - 1].owner if index else None


def existed_at(projection: Projection, user_id: str, at: Stamp) -> bool:
    """Whether the id stood for a user at that stamp, whatever happened to that user later."""
    periods = projection.ownership_periods.get(user_id, ())
    index = bisect(periods, at, key=lambda period: period.valid_from)
    return bool(index) and periods[index - 1].existed


def _sets_at(projection: Projection, user_id: str, at: Stamp) -> Mapping[str, Any]:
    """The preference sets that applied to the id at that stamp."""
    versions = projection.preference_sets.get(user_id, ())
    return {version.set_id: version.settings for version in versions if version.valid_from <= at}


def _engagements(message: MessageCreated, owner: str, facts: Iterable[Fact], projection: Projection) -> dict[str, int]:
    """The engagements that are set, each with its time."""
    states: dict[str, tuple[Stamp, bool]] = {
        state.engagement: (state.stamp, state.is_set)
        for state in projection.channel_engagements.get(message.recipient, ())
        if state.channel == message.channel and state.stamp > message.stamp
    }
    for fact in facts:
        if (
            isinstance(fact, EngagementChanged)
            and fact.message_id == message.id
            and (fact.user_id is None or owner_at(projection, fact.user_id, fact.stamp) == owner)
        ):
            state = (fact.stamp, fact.is_set)
            states[fact.engagement] = max(state, states.get(fact.engagement, state))
    return {name: occurred_at_of(stamp) for name, (stamp, is_set) in states.items() if is_set}


def _activity(trigger: WorkflowTriggered, owner: str, projection: Projection) -> WorldActivity:
    actor = owner_at(projection, trigger.actor, trigger.stamp) if trigger.actor is not None else None
    return {
        "owner": owner,
        "actor": actor,
        "missing_actor": trigger.actor is not None and actor is None,
        "workflow": trigger.workflow,
    }


def _user(id_: str, user: ResolvedUser, projection: Projection) -> WorldUser:
    profile = profile_of(user.profile)
    tokens: dict[str, list[str]] = {}
    for (channel_id, token), last in projection.push_tokens.items():
        if last == id_:
            tokens.setdefault(channel_id, []).append(token_hash(token).hex())
    return {
        "attributes": {name: value for name, value in profile.attributes.items() if value is not None},
        "properties": profile.properties,
        "preferences": profile.preferences,
        "channel_data": profile.channel_data,
        "push_tokens": {channel_id: sorted(hashes) for channel_id, hashes in tokens.items()},
        "updated": user.updated,
    }
