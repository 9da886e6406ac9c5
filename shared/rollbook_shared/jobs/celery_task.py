"""A job as a Celery task: the task's name, its queue, the text that it carries and the summary that Flower shows.

An application's user id may be personal data, such as an e-mail address. So a summary names users by `alias(id)`: the
first 8 hexadecimal digits of the id's BLAKE2 digest. Anyone who knows the id can compute the alias and search for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Self, assert_never

from rollbook_shared.errors import Undecodable
from rollbook_shared.jobs import models
from rollbook_shared.jobs.codec import decode, encode, encode_bulk_identify

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext

DEFAULT_QUEUE: Final = "default"
"""Single writes and triggers, whose callers may wait for the effect."""
BULK_QUEUE: Final = "bulk"
"""Bulk jobs and imports, so that a large one never delays a sign-up."""
QUEUES: Final = (DEFAULT_QUEUE, BULK_QUEUE)

TASK_PREFIX: Final = "rollbook."

TASKS: Final[Mapping[str, str]] = MappingProxyType({kind: TASK_PREFIX + kind for kind in models.KINDS})
"""Kind -> name of the task that applies it."""


MAX_KEYS: Final = 8
"""More would not fit into Flower's column; their number is shown instead."""


def queue_of(kind: str) -> str:
    """The queue that jobs of this kind travel in."""
    return BULK_QUEUE if kind.startswith("bulk_") else DEFAULT_QUEUE


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodedJob:
    """The job's text, and what its message shows without decoding it."""

    id: str
    kind: str
    body: str
    summary: str
    """What monitors show of it: never a value."""
    trace: str | None = None
    """The trace of the call that made it, when it is not sent within that trace."""
    callers: Sequence[SpanContext] = ()
    """Span contexts of the calls whose users were gathered into this job."""

    @classmethod
    def of(cls, job: models.Job) -> Self:
        """The job, encoded."""
        return cls(id=job.id, kind=job.kind, body=encode(job), summary=summarize(job))

    @classmethod
    def of_users(
        cls, id: str, users: Sequence[bytes], timestamps: Sequence[int], callers: Sequence[SpanContext] = ()
    ) -> Self:
        """A bulk identify of encoded users, each with the time of its call."""
        body = encode_bulk_identify(id, users, timestamps)
        return cls(id=id, kind="bulk_identify", body=body, summary=summarize_users(len(users)), callers=callers)

    @classmethod
    def from_stored(cls, *, id: str, kind: str, body: str, trace: str | None) -> Self:
        """A job that was stored as text. One that this version cannot decode is sent as well: a worker may know it."""
        try:
            text = summarize(decode(body))
        except Undecodable:
            text = "(not a job known here)"
        return cls(id=id, kind=kind, body=body, summary=text, trace=trace)


def alias(user_id: str) -> str:
    """A short name for a user that holds no personal data."""
    return "user:" + hashlib.blake2b(user_id.encode(), digest_size=4).hexdigest()


def summarize(job: models.Job) -> str:
    """One line about the job, without personal data."""
    match job:  # the usual kinds first: to each one before it, pydantic is asked whether the job is of that kind
        case models.Identify():
            return f"{alias(job.user.id)} {_keys_of(job.user)}"
        case models.BulkIdentify():
            return summarize_users(len(job.users), len(job.problems))
        case models.Trigger():
            inline = sum(isinstance(recipient, models.UserUpdate) for recipient in job.recipients)
            return f"workflow {job.workflow}: {_counted(len(job.recipients), 'recipient')}" + (
                f", {inline} inline" if inline else ""
            )
        case models.Delete():
            return alias(job.user_id)
        case models.BulkDelete():
            return _counted(len(job.user_ids), "user")
        case models.Merge():
            return f"{alias(job.primary_id)} <- {alias(job.secondary_id)}"
        case models.SetPreferences() | models.UpdatePreferences() | models.UnsetPreferences():
            return f"{alias(job.user_id)} one preference set"
        case models.BulkSetPreferences():
            return f"{_counted(len(job.user_ids), 'user')}, one preference set"
        case models.AddPushToken() | models.RemovePushToken():
            return f"{alias(job.user_id)} one push token"
        case models.SetChannelData() | models.UnsetChannelData():
            return f"{alias(job.user_id)} one channel"
        case models.MarkAll():
            return f"{alias(job.user_id)} all messages on {job.channel} {job.engagement}"
        case models.Mark():
            return f"{_counted(len(job.message_ids), 'message')} {job.engagement}"
        case _:
            assert_never(job)


def summarize_users(count: int, rejected: int = 0) -> str:
    """One line about the users of a bulk job."""
    return _counted(count, "user") + (f", {rejected} rejected" if rejected else "")


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _keys_of(user: models.UserUpdate) -> str:
    keys = [*user.traits]
    if user.preferences:
        keys.append("preferences")
    if user.channel_data:
        keys.append("channel_data")
    shown = ", ".join(keys[:MAX_KEYS])
    return f"{{{shown}, ... {len(keys)} keys}}" if len(keys) > MAX_KEYS else f"{{{shown}}}"
