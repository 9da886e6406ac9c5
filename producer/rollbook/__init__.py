"""Rollbook: one answer to who a user is, and how to reach them."""

from rollbook.client import Rollbook
from rollbook.errors import (
    InvalidJob,
    LetterNotFound,
    NotConfigured,
    NotDecided,
    NotSent,
    Problem,
    RollbookError,
    Unavailable,
    UserNotFound,
)
from rollbook.models.answers import (
    Conflict,
    DeadLetter,
    DeferredJob,
    JobStatus,
    MergePreview,
    Page,
    RefusedItem,
    Taken,
    User,
)
from rollbook.models.history import Activity, Actor, Feed, Message
from rollbook.resources.jobs import Job
from rollbook_shared.jobs.limits import Limits

__all__ = [
    "Activity",
    "Actor",
    "Conflict",
    "DeadLetter",
    "DeferredJob",
    "Feed",
    "InvalidJob",
    "Job",
    "JobStatus",
    "LetterNotFound",
    "Limits",
    "MergePreview",
    "Message",
    "NotConfigured",
    "NotDecided",
    "NotSent",
    "Page",
    "Problem",
    "RefusedItem",
    "Rollbook",
    "RollbookError",
    "Taken",
    "Unavailable",
    "User",
    "UserNotFound",
]
