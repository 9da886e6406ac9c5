"""How large the parts of a job may be, as JSON in bytes."""

from __future__ import annotations

from typing import Any, Final

from rollbook_shared.domain.attributes import ATTRIBUTES
from rollbook_shared.errors import Problem
from rollbook_shared.jobs.codec import MAX_TEXT, encode
from rollbook_shared.jobs.json_text import encode_json
from rollbook_shared.jobs.limits import Limits
from rollbook_shared.jobs.models import (
    BulkIdentify,
    BulkSetPreferences,
    Job,
    SetChannelData,
    SetPreferences,
    Trigger,
    UserUpdate,
)

_MEBIBYTE: Final = 1024 * 1024


def check_size(job: Job, limits: Limits) -> list[Problem]:
    """What of the job is too large, beside the users told of in it."""
    match job:
        case SetPreferences() | BulkSetPreferences():
            return _too_large("settings", job.settings, limits.data_bytes)
        case SetChannelData():
            return _too_large("data", job.data, limits.data_bytes)
        case Trigger():
            return _too_large("data", job.data, limits.data_bytes) or _in_all(job, "recipients", job.recipients, limits)
        case BulkIdentify():
            return _in_all(job, "users", job.users, limits)
        case _:
            return []


def check_user_size(user_update: UserUpdate, limits: Limits) -> list[Problem]:
    """What of one user is too large: the properties, or all the rest together, named for the largest part of it."""
    # nearly always all of it together is less than any part may be, and need not be taken apart
    if len(encode_json(vars(user_update))) <= min(limits.properties_bytes, limits.data_bytes):
        return []
    attributes = {name: value for name, value in user_update.traits.items() if name in ATTRIBUTES}
    properties = {name: value for name, value in user_update.traits.items() if name not in ATTRIBUTES}
    problems = _too_large("properties", properties, limits.properties_bytes)
    parts = attributes | {
        name: part for name in ("preferences", "channel_data") if (part := getattr(user_update, name))
    }
    if found := _too_large("", parts, limits.data_bytes):
        largest = max(parts, key=lambda name: len(encode_json(parts[name])))
        reason = f"{found[0].reason}, with all that is told beside the properties"
        problems.append(Problem(largest, reason))
    return problems


def _too_large(field: str, value: object, most: int) -> list[Problem]:
    return [Problem(field, f"must be at most {most} bytes as JSON")] if len(encode_json(value)) > most else []


def _in_all(job: Job, field: str, users: tuple[Any, ...], limits: Limits) -> list[Problem]:
    """A worker buries a job that is too large as a whole. Few are so large that it is worth measuring."""
    if len(users) * (limits.properties_bytes + limits.data_bytes) <= MAX_TEXT or len(encode(job)) <= MAX_TEXT:
        return []
    return [Problem(field, f"must be at most {MAX_TEXT // _MEBIBYTE} MiB in all; send them in several jobs")]
