"""One line about a job for Flower, events and logs: the users as aliases, their number, the keys; never a value.

An application's user id may be personal data, such as an e-mail address. So it is shown as `alias(id)`: the first 8
hexadecimal digits of its BLAKE2 digest. Anyone who knows the id can compute the alias and search for it.
"""

from __future__ import annotations

import hashlib
from typing import Final, assert_never

from rollbook_shared.errors import Problem
from rollbook_shared.jobs import models

MAX_KEYS: Final = 8
"""More would not fit into Flower's column; their number is shown instead."""


def alias(user_id: str) -> str:
    """A short name for a user that holds no personal data."""
    return "user:" + hashlib.blake2b(user_id.encode(), digest_size=4).hexdigest()


def summarize(job: models.Job) -> str:
    """One line about the job, without personal data."""
    match job:
        case models.Identify():
            return f"{alias(job.user.id)} {_keys_of(job.user)}"
        case models.BulkIdentify():
            rejected = sum(isinstance(user, Problem) for user in job.users)
            return summarize_users(len(job.users), rejected)
        case models.Delete():
            return alias(job.user_id)
        case models.BulkDelete():
            return f"{len(job.user_ids)} users"
        case models.Merge():
            return f"{alias(job.primary_id)} <- {alias(job.secondary_id)}"
        case models.SetPreferences() | models.UnsetPreferences():
            return f"{alias(job.user_id)} one preference set"
        case models.BulkSetPreferences():
            return f"{len(job.user_ids)} users, one preference set"
        case models.SetChannelData() | models.UnsetChannelData():
            return f"{alias(job.user_id)} one channel"
        case models.Trigger():
            inline = sum(isinstance(recipient, models.UserUpdate) for recipient in job.recipients)
            return f"workflow {job.workflow}: {len(job.recipients)} recipients" + (
                f", {inline} inline" if inline else ""
            )
        case models.Mark():
            return f"{len(job.message_ids)} messages {job.engagement}"
        case _:
            assert_never(job)


def summarize_users(count: int, rejected: int = 0) -> str:
    """One line about the users of a bulk job."""
    return f"{count} users" + (f", {rejected} rejected" if rejected else "")


def _keys_of(user: models.UserUpdate) -> str:
    keys = [*user.traits]
    if user.preferences:
        keys.append("preferences")
    if user.channel_data:
        keys.append("channel_data")
    shown = ", ".join(keys[:MAX_KEYS])
    return f"{{{shown}, ... {len(keys)} keys}}" if len(keys) > MAX_KEYS else f"{{{shown}}}"
