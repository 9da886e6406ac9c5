"""Reads a job as facts. An invalid user of a bulk job becomes no fact, so the other users are not affected."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, assert_never

from rollbook_shared import jobs
from rollbook_shared.domain.deterministic_ids import activity_id, message_id
from rollbook_shared.domain.profile_sections import TRAIT_KEYS
from rollbook_shared.domain.push_tokens import sent_tokens
from rollbook_shared.domain.stamps import Stamp, stamp
from rollbook_shared.errors import Problem
from rollbook_shared.jobs.plain_users import PlainUsers
from rollbook_worker.core.facts import (
    ActivityCreated,
    ChannelEngagementChanged,
    EngagementChanged,
    Fact,
    Facts,
    MessageCreated,
    PreferencesUpdated,
    ProfileKeySet,
    PushTokenChanged,
    PushTokenSent,
    UserDeleted,
    UserIdentified,
    UsersMerged,
    UsersUpdated,
    UserUpdated,
    WorkflowTriggered,
)


def facts_of(job: jobs.Job) -> Iterable[Facts]:
    """The facts that the job consists of; the ordinal of each item of the job is part of its stamp."""
    if type(job) is jobs.Identify:  # nearly all
        return _user_updated(job.user, stamp(job.occurred_at, job.id))
    return _facts_of(job)


def _facts_of(job: jobs.Job) -> Iterator[Facts]:
    at = stamp(job.occurred_at, job.id)
    match job:
        case jobs.Identify():
            yield from _user_updated(job.user, at)
        case jobs.BulkIdentify():
            yield from _users_updated(job)
        case jobs.Delete():
            yield UserDeleted(at, job.user_id)
        case jobs.BulkDelete():
            for ordinal, user_id in enumerate(job.user_ids):
                yield UserDeleted(stamp(job.occurred_at, job.id, ordinal), user_id)
        case jobs.Merge():
            yield UsersMerged(at, job.secondary_id, job.primary_id, job.keep_opt_outs, job.merge_tokens)
        case jobs.SetPreferences():
            yield from _key_set(job.user_id, f"s.{job.set_id}", job.settings, at)
        case jobs.UpdatePreferences():
            yield UserIdentified(at, job.user_id)
            yield PreferencesUpdated(at, job.user_id, job.set_id, dict(job.changes))
        case jobs.UnsetPreferences():
            yield ProfileKeySet(at, job.user_id, f"s.{job.set_id}", None)
        case jobs.BulkSetPreferences():
            for ordinal, user_id in enumerate(job.user_ids):
                yield from _key_set(user_id, f"s.{job.set_id}", job.settings, stamp(job.occurred_at, job.id, ordinal))
        case jobs.SetChannelData():
            yield from _key_set(job.user_id, f"c.{job.channel_id}", job.data, at)
            yield from _tokens_sent(job.user_id, job.channel_id, job.data, at)
        case jobs.UnsetChannelData():
            yield ProfileKeySet(at, job.user_id, f"c.{job.channel_id}", None)
        case jobs.AddPushToken():
            yield UserIdentified(at, job.user_id)
            yield PushTokenChanged(at, job.user_id, job.channel_id, job.token, job.device, True)
            yield PushTokenSent(at, job.user_id, job.channel_id, job.token)
        case jobs.RemovePushToken():
            yield PushTokenChanged(at, job.user_id, job.channel_id, job.token, None, False)
        case jobs.Trigger():
            yield from _triggered(job)
        case jobs.Mark():
            for ordinal, id_ in enumerate(job.message_ids):
                for name, is_set in _states(job.engagement):
                    yield EngagementChanged(stamp(job.occurred_at, job.id, ordinal), id_, name, is_set, job.user_id)
        case jobs.MarkAll():
            for name, is_set in _states(job.engagement):
                yield ChannelEngagementChanged(at, job.user_id, job.channel, name, is_set)
        case _:
            assert_never(job)


def trigger_stamp(job: jobs.Trigger) -> Stamp:
    """The stamp of a trigger's activities and messages: after every inline identification, whose ordinals are 0 (the
    actor), 1, 2 ... (the recipients).
    """
    return stamp(job.occurred_at, job.id, len(job.recipients) + 1)


def _states(engagement: str) -> Iterator[tuple[str, bool]]:
    """The engagements that a job sets (True) or clears."""
    name = engagement.removeprefix("un")
    yield name, name == engagement
    if engagement == "interacted":
        yield "read", True


def _users_updated(job: jobs.BulkIdentify) -> Iterator[Facts]:
    users = job.users
    if isinstance(users, PlainUsers):
        times = job.timestamps or [job.occurred_at] * len(users)
        stamps = [stamp(at, job.id, ordinal) for ordinal, at in enumerate(times)]
        yield UsersUpdated(min(stamps), stamps, users.ids, users.profiles)
        return
    for ordinal, user in enumerate(users):
        if isinstance(user, Problem):
            continue
        at = stamp(job.timestamps[ordinal] if job.timestamps else job.occurred_at, job.id, ordinal)
        yield from _user_updated(user, at)


def _user_updated(user_update: jobs.UserUpdate, at: Stamp) -> Iterable[Facts]:
    profile = {TRAIT_KEYS[name]: value for name, value in user_update.traits.items()}
    if not (user_update.preferences or user_update.channel_data):  # true of nearly all users, and half of the time
        return (UserUpdated(at, user_update.id, profile),)
    return _updated_with_settings(user_update, profile, at)


def _updated_with_settings(user_update: jobs.UserUpdate, profile: dict[str, Any], at: Stamp) -> Iterator[Facts]:
    for channel_id, data in user_update.channel_data.items():
        profile[f"c.{channel_id}"] = data
    yield UserUpdated(at, user_update.id, profile)
    for set_id, settings in user_update.preferences.items():
        yield ProfileKeySet(at, user_update.id, f"s.{set_id}", settings)
    for channel_id, data in user_update.channel_data.items():
        yield from _tokens_sent(user_update.id, channel_id, data, at)


def _tokens_sent(user_id: str, channel_id: str, data: Any, at: Stamp) -> Iterator[PushTokenSent]:
    for token in sent_tokens(data):
        yield PushTokenSent(at, user_id, channel_id, token)


def _key_set(user_id: str, key: str, value: Any, at: Stamp) -> Iterator[Fact]:
    yield UserIdentified(at, user_id)
    yield ProfileKeySet(at, user_id, key, value)


def _triggered(job: jobs.Trigger) -> Iterator[Facts]:
    recipients: dict[str, None] = {}
    if isinstance(job.actor, jobs.UserUpdate):
        yield from _user_updated(job.actor, stamp(job.occurred_at, job.id))
    for ordinal, recipient in enumerate(job.recipients, start=1):
        if isinstance(recipient, jobs.UserUpdate):
            yield from _user_updated(recipient, stamp(job.occurred_at, job.id, ordinal))
            recipients[recipient.id] = None
        else:
            recipients[recipient] = None
    at = trigger_stamp(job)
    actor = job.actor.id if isinstance(job.actor, jobs.UserUpdate) else job.actor
    yield WorkflowTriggered(at, job.id, job.workflow, actor, job.tenant, tuple(job.categories), job.data)
    for user_id in recipients:
        yield ActivityCreated(at, activity_id(job.id, user_id), job.id, user_id)
        for channel in dict.fromkeys(job.channels):
            yield MessageCreated(at, message_id(job.id, user_id, channel), job.id, user_id, channel)
