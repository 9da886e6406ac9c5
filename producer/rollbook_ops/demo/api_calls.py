"""Sends a job through the public client, as an application would."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rollbook import Rollbook
from rollbook_shared import jobs
from rollbook_shared.domain.stamps import datetime_of


def send_job(rollbook: Rollbook, job: jobs.Job, *, stamped: bool = True) -> None:
    """Make the call that sends `job`. Unless `stamped`, the client's clock gives the job its time."""
    users = rollbook.users
    when: dict[str, Any] = {"job_id": job.id}
    if stamped:
        when["run_at" if job.deferred else "occurred_at"] = datetime_of(job.occurred_at)
    match job:
        case jobs.Identify(user=user):
            traits = user_mapping(user)
            users.identify(traits.pop("id"), traits, **when)
        case jobs.BulkIdentify():
            users.bulk_identify([user_mapping(user) for user in job.users if isinstance(user, jobs.UserUpdate)], **when)
        case jobs.Delete():
            users.delete(job.user_id, **when)
        case jobs.BulkDelete():
            users.bulk_delete(job.user_ids, **when)
        case jobs.Merge():
            options: dict[str, Any] = {"keep_opt_outs": job.keep_opt_outs, "merge_tokens": job.merge_tokens}
            users.merge(job.primary_id, job.secondary_id, **options, **when)
        case jobs.SetPreferences():
            users.set_preferences(job.user_id, job.set_id, _plain(job.settings), **when)
        case jobs.UpdatePreferences():
            users.update_preferences(job.user_id, job.set_id, _plain(job.changes), **when)
        case jobs.UnsetPreferences():
            users.unset_preferences(job.user_id, job.set_id, **when)
        case jobs.BulkSetPreferences():
            users.bulk_set_preferences(job.user_ids, job.set_id, _plain(job.settings), **when)
        case jobs.SetChannelData():
            users.set_channel_data(job.user_id, job.channel_id, job.data, **when)
        case jobs.AddPushToken():
            users.add_push_token(job.user_id, job.channel_id, job.token, job.device, **when)
        case jobs.RemovePushToken():
            users.remove_push_token(job.user_id, job.channel_id, job.token, **when)
        case jobs.UnsetChannelData():
            users.unset_channel_data(job.user_id, job.channel_id, **when)
        case jobs.Trigger():
            rollbook.workflows.trigger(
                job.workflow,
                [_person(recipient) for recipient in job.recipients],
                actor=None if job.actor is None else _person(job.actor),
                data=job.data,
                tenant=job.tenant,
                channels=job.channels,
                categories=job.categories,
                **when,
            )
        case jobs.Mark():
            rollbook.messages.mark(job.message_ids, job.engagement, user_id=job.user_id, **when)
        case jobs.MarkAll():
            rollbook.messages.mark_all(job.user_id, job.engagement, channel=job.channel, **when)
        case _:
            raise NotImplementedError(f"the client has no call for {job.kind}")


def user_mapping(user: jobs.UserUpdate) -> dict[str, Any]:
    """Return a user update as the mapping that callers of the client write."""
    mapping: dict[str, Any] = {"id": user.id, **user.traits}
    if user.preferences:
        mapping["preferences"] = {set_id: _plain(settings) for set_id, settings in user.preferences.items()}
    if user.channel_data:
        mapping["channel_data"] = dict(user.channel_data)
    return mapping


def _person(user: str | jobs.UserUpdate) -> str | dict[str, Any]:
    return user_mapping(user) if isinstance(user, jobs.UserUpdate) else user


def _plain(settings: Any) -> Mapping[str, Any]:
    return settings if isinstance(settings, Mapping) else settings.model_dump(exclude_unset=True)
