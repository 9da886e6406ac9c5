"""One function for each kind of job: the arguments of a call, checked and turned into the job."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Unpack
from uuid import UUID

from rollbook.commands.arguments import Arguments, WriteOptions, as_changes, as_dict, as_settings, as_uuids
from rollbook.commands.plain_updates import encode_plain_update, plain_update
from rollbook.commands.user_update_checks import check_user_update
from rollbook_shared import jobs
from rollbook_shared.errors import Problem
from rollbook_shared.limits import HARD_BULK_USERS, HARD_MESSAGES, HARD_RECIPIENTS, Limits

if TYPE_CHECKING:
    from rollbook.models import Engagement

MAX_MESSAGES: Final = 1_000
"""Messages in one job of marks; the job's model has the same bound."""
_MAX_NAMES: Final = 100
"""Channels or categories of one trigger; the job's model has the same bound."""
_MERGE_FIELDS: Final = {"primary_id": "user_id", "secondary_id": "from_user_id"}


def identify(
    user_id: str, traits: Mapping[str, Any] | None, *, limits: Limits, now: int, **options: Unpack[WriteOptions]
) -> jobs.Identify:
    """The job that creates or updates one user."""
    with Arguments("identify", limits, options) as arguments:
        given = {} if traits is None else traits
        user = plain_update(user_id, given, limits)
        if user is None:
            user = check_user_update(arguments, given, user_id=user_id)
        return jobs.Identify(**arguments.timing(now), user=user)


def encoded_user_update(user_id: str, traits: Mapping[str, Any] | None, *, limits: Limits) -> bytes:
    """What an identify says of the user, as it is in a job's text: for a client that gathers several into one job."""
    given = {} if traits is None else traits
    if (text := encode_plain_update(user_id, given, limits)) is not None:
        return text
    with Arguments("identify", limits) as arguments:
        update = check_user_update(arguments, given, user_id=user_id)
    return jobs.encode_user(update)


def bulk_identify(
    users: Iterable[Mapping[str, Any]],
    timestamps: Iterable[Any] | None,
    *,
    limits: Limits,
    now: int,
    **options: Unpack[WriteOptions],
) -> jobs.BulkIdentify:
    """The job that creates or updates many users. It happened at the last of the `timestamps`, if it has those."""
    with Arguments("bulk_identify", limits, options) as arguments:
        given = arguments.items(users, "users", most=_bulk_users(limits), what="users")
        updates = tuple(
            check_user_update(arguments, user, where=f"users[{index}]", index=index) for index, user in enumerate(given)
        )
        times = () if timestamps is None else arguments.timestamps(timestamps, now)
        timing = arguments.timing(now, last_timestamp=max(times, default=None))
        job = jobs.BulkIdentify(**timing, users=updates, timestamps=times)
        arguments.check_job_size(job, "users", len(updates))
    return job


def delete(user_id: str, *, limits: Limits, now: int, **options: Unpack[WriteOptions]) -> jobs.Delete:
    """The job that deletes one user."""
    with Arguments("delete", limits, options) as arguments:
        return jobs.Delete(**arguments.timing(now), user_id=user_id)


def bulk_delete(
    user_ids: Iterable[str], *, limits: Limits, now: int, **options: Unpack[WriteOptions]
) -> jobs.BulkDelete:
    """The job that deletes many users."""
    with Arguments("bulk_delete", limits, options) as arguments:
        ids = arguments.items(user_ids, "user_ids", most=_bulk_users(limits), what="user ids")
        return jobs.BulkDelete(**arguments.timing(now), user_ids=ids)


def merge(
    user_id: str,
    from_user_id: str,
    *,
    keep_opt_outs: bool,
    merge_tokens: bool,
    limits: Limits,
    now: int,
    **options: Unpack[WriteOptions],
) -> jobs.Merge:
    """The job that makes `from_user_id`, the secondary, part of `user_id`, the primary."""
    with Arguments("merge", limits, options, renames=_MERGE_FIELDS) as arguments:
        arguments.check_id("user_id", user_id)
        arguments.check_id("from_user_id", from_user_id)
        return jobs.Merge(
            **arguments.timing(now),
            primary_id=user_id,
            secondary_id=from_user_id,
            keep_opt_outs=keep_opt_outs,
            merge_tokens=merge_tokens,
        )


def set_preferences(
    user_id: str,
    set_id: str,
    settings: Mapping[str, Any],
    *,
    limits: Limits,
    now: int,
    **options: Unpack[WriteOptions],
) -> jobs.SetPreferences:
    """The job that replaces one preference set of a user."""
    with Arguments("set_preferences", limits, options) as arguments:
        arguments.check_id("user_id", user_id)
        timing = arguments.timing(now)
        job = jobs.SetPreferences(**timing, user_id=user_id, set_id=set_id, settings=as_settings(settings))
        arguments.check_size("settings", job.settings, limits.max_data_bytes)
    return job


def update_preferences(
    user_id: str,
    set_id: str,
    changes: Mapping[str, Any],
    *,
    limits: Limits,
    now: int,
    **options: Unpack[WriteOptions],
) -> jobs.UpdatePreferences:
    """The job that changes keys of one preference set of a user."""
    with Arguments("update_preferences", limits, options) as arguments:
        arguments.check_id("user_id", user_id)
        timing = arguments.timing(now)
        job = jobs.UpdatePreferences(**timing, user_id=user_id, set_id=set_id, changes=as_changes(changes))
        arguments.check_size("changes", job.changes, limits.max_data_bytes)
    return job


def unset_preferences(
    user_id: str, set_id: str, *, limits: Limits, now: int, **options: Unpack[WriteOptions]
) -> jobs.UnsetPreferences:
    """The job that removes one preference set of a user."""
    with Arguments("unset_preferences", limits, options) as arguments:
        return jobs.UnsetPreferences(**arguments.timing(now), user_id=user_id, set_id=set_id)


def bulk_set_preferences(
    user_ids: Iterable[str],
    set_id: str,
    settings: Mapping[str, Any],
    *,
    limits: Limits,
    now: int,
    **options: Unpack[WriteOptions],
) -> jobs.BulkSetPreferences:
    """The job that replaces one preference set of many users."""
    with Arguments("bulk_set_preferences", limits, options) as arguments:
        ids = arguments.items(user_ids, "user_ids", most=_bulk_users(limits), what="user ids")
        arguments.check_ids("user_ids", ids)
        timing = arguments.timing(now)
        job = jobs.BulkSetPreferences(**timing, user_ids=ids, set_id=set_id, settings=as_settings(settings))
        arguments.check_size("settings", job.settings, limits.max_data_bytes)
    return job


def set_channel_data(
    user_id: str,
    channel_id: str,
    data: Mapping[str, Any],
    *,
    limits: Limits,
    now: int,
    **options: Unpack[WriteOptions],
) -> jobs.SetChannelData:
    """The job that replaces a user's data for one channel."""
    with Arguments("set_channel_data", limits, options) as arguments:
        arguments.check_id("user_id", user_id)
        timing = arguments.timing(now)
        job = jobs.SetChannelData(**timing, user_id=user_id, channel_id=channel_id, data=as_dict(data))
        arguments.check_size("data", job.data, limits.max_data_bytes)
    return job


def unset_channel_data(
    user_id: str, channel_id: str, *, limits: Limits, now: int, **options: Unpack[WriteOptions]
) -> jobs.UnsetChannelData:
    """The job that removes a user's data for one channel."""
    with Arguments("unset_channel_data", limits, options) as arguments:
        return jobs.UnsetChannelData(**arguments.timing(now), user_id=user_id, channel_id=channel_id)


def add_push_token(
    user_id: str,
    channel_id: str,
    token: str,
    device: Mapping[str, str | None] | None,
    *,
    limits: Limits,
    now: int,
    **options: Unpack[WriteOptions],
) -> jobs.AddPushToken:
    """The job that adds one push token to a user's data for one channel."""
    with Arguments("add_push_token", limits, options) as arguments:
        arguments.check_id("user_id", user_id)
        return jobs.AddPushToken(
            **arguments.timing(now),
            user_id=user_id,
            channel_id=channel_id,
            token=token,
            device=None if device is None else as_dict(device),
        )


def remove_push_token(
    user_id: str, channel_id: str, token: str, *, limits: Limits, now: int, **options: Unpack[WriteOptions]
) -> jobs.RemovePushToken:
    """The job that removes one push token from a user's data for one channel."""
    with Arguments("remove_push_token", limits, options) as arguments:
        return jobs.RemovePushToken(**arguments.timing(now), user_id=user_id, channel_id=channel_id, token=token)


def trigger(
    workflow: str,
    recipients: Iterable[str | Mapping[str, Any]],
    *,
    actor: str | Mapping[str, Any] | None,
    data: Mapping[str, Any] | None,
    tenant: str | None,
    channels: Iterable[str],
    categories: Iterable[str],
    limits: Limits,
    now: int,
    **options: Unpack[WriteOptions],
) -> jobs.Trigger:
    """The job that starts a workflow for its recipients."""
    with Arguments("trigger", limits, options) as arguments:
        most = min(limits.max_recipients, HARD_RECIPIENTS)
        given = arguments.items(recipients, "recipients", most=most, what="user ids or mappings")
        people = tuple(
            _recipient(arguments, recipient, where=f"recipients[{index}]", index=index)
            for index, recipient in enumerate(given)
        )
        names = arguments.items(channels, "channels", most=_MAX_NAMES, what="channel names")
        arguments.add(_too_many_messages(people, names, min(limits.max_messages, HARD_MESSAGES)))
        job = jobs.Trigger(
            **arguments.timing(now),
            workflow=workflow,
            recipients=people,
            actor=None if actor is None else _recipient(arguments, actor, where="actor"),
            data={} if data is None else as_dict(data),
            tenant=tenant,
            channels=names,
            categories=arguments.items(categories, "categories", least=0, most=_MAX_NAMES, what="category names"),
        )
        arguments.check_size("data", job.data, limits.max_data_bytes)
        arguments.check_job_size(job, "recipients", len(people))
    return job


def mark(
    message_ids: Iterable[str | UUID],
    engagement: Engagement,
    *,
    user_id: str | None,
    limits: Limits,
    now: int,
    **options: Unpack[WriteOptions],
) -> jobs.Mark:
    """The job that records what a recipient did with messages."""
    with Arguments("mark", limits, options) as arguments:
        ids = arguments.items(message_ids, "message_ids", most=MAX_MESSAGES, what="message ids")
        return jobs.Mark(**arguments.timing(now), message_ids=as_uuids(ids), engagement=engagement, user_id=user_id)


def mark_all(
    user_id: str,
    engagement: Engagement,
    *,
    channel: str,
    limits: Limits,
    now: int,
    **options: Unpack[WriteOptions],
) -> jobs.MarkAll:
    """The job that records what a user did with all messages on a channel."""
    with Arguments("mark_all", limits, options) as arguments:
        return jobs.MarkAll(**arguments.timing(now), user_id=user_id, channel=channel, engagement=engagement)


def _too_many_messages(
    people: tuple[str | jobs.UserUpdate, ...], channels: tuple[str, ...], most: int
) -> Iterator[Problem]:
    if len(people) * len(channels) <= most:
        return
    recipients = {person.id if isinstance(person, jobs.UserUpdate) else str(person) for person in people}
    names = set(map(str, channels))
    if (number := len(recipients) * len(names)) > most:
        found = f"{len(recipients):,} recipients on {len(names):,} channels are {number:,} messages"
        yield Problem("recipients", f"{found}; ROLLBOOK_MAX_MESSAGES allows {most:,} in one trigger")


def _bulk_users(limits: Limits) -> int:
    return min(limits.max_bulk_users, HARD_BULK_USERS)


def _recipient(
    arguments: Arguments,
    recipient: str | Mapping[str, Any],
    *,
    where: str,
    index: int | None = None,
) -> str | jobs.UserUpdate:
    if type(recipient) is not str and isinstance(recipient, Mapping):
        return check_user_update(arguments, recipient, where=where, index=index)
    arguments.check_id(where, recipient, index)
    return recipient
