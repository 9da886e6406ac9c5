"""Rollbook: one answer to who a user is, and how to reach them."""

from rollbook.client import Rollbook
from rollbook.errors import (
    DeadLetterNotFound,
    InvalidRequest,
    JobTimeout,
    NotConfigured,
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
    FilledValue,
    JobStatus,
    MergePreview,
    Page,
    RejectedItem,
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
    "DeadLetterNotFound",
    "DeferredJob",
    "Feed",
    "FilledValue",
    "InvalidRequest",
    "Job",
    "JobStatus",
    "JobTimeout",
    "Limits",
    "MergePreview",
    "Message",
    "NotConfigured",
    "NotSent",
    "Page",
    "Problem",
    "RejectedItem",
    "Rollbook",
    "RollbookError",
    "Unavailable",
    "User",
    "UserNotFound",
]
