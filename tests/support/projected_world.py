"""The world that kept facts show, in the shape in which the reference tells it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from rollbook_shared.domain.sections import profile_of
from rollbook_shared.reference.preferences import allowed
from rollbook_shared.reference.world import Activity as ActivityShown
from rollbook_shared.reference.world import Message as MessageShown
from rollbook_shared.reference.world import User, World
from rollbook_worker.core import Activity, Fact, Message, Person, Projection, Triggered, project

HISTORY: Final = timedelta(days=30)


def world_of(facts: Iterable[Fact], *, history: timedelta = HISTORY) -> World:
    """What a reader sees of these facts, the rows with their owners of now."""
    facts = list(facts)
    seen = project(facts, history // timedelta(microseconds=1))
    triggers = {fact.job_id: fact for fact in facts if isinstance(fact, Triggered)}
    activities: dict[str, ActivityShown] = {}
    messages: dict[str, MessageShown] = {}
    for fact in facts:
        if isinstance(fact, (Activity, Message)) and (owner := seen.owner(fact.recipient, fact.stamp)):
            trigger = triggers[fact.job_id]
            shown = _activity(trigger, owner, seen)
            if isinstance(fact, Activity):
                activities[str(fact.id)] = shown
            elif allowed(
                seen.wanted(fact.recipient, fact.stamp, tenant=trigger.tenant),
                workflow=trigger.workflow,
                categories=trigger.categories,
                channel=fact.channel,
            ):
                messages[str(fact.id)] = {**shown, "channel": fact.channel}
    return {
        "users": {id_: _user(person) for id_, person in seen.people.items()},
        "merged": dict(seen.goes_to),
        "messages": messages,
        "activities": activities,
    }


def _activity(trigger: Triggered, owner: str, seen: Projection) -> ActivityShown:
    actor = seen.owner(trigger.actor, trigger.stamp) if trigger.actor is not None else None
    return {
        "owner": owner,
        "actor": actor,
        "missing_actor": trigger.actor is not None and actor is None,
        "workflow": trigger.workflow,
    }


def _user(person: Person) -> User:
    profile = profile_of(person.data)
    return {
        "attributes": {name: value for name, value in profile.attributes.items() if value is not None},
        "properties": profile.properties,
        "preferences": profile.preferences,
        "channel_data": profile.channel_data,
        "updated": person.updated,
    }
