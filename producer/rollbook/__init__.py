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
from rollbook.models import (
    Activity,
    Actor,
    Conflict,
    DeadLetter,
    DeferredJob,
    Feed,
    FilledValue,
    JobStatus,
    MergePreview,
    Message,
    Page,
    RejectedItem,
    User,
    UserCount,
)
from rollbook.resources.jobs import JobHandle
from rollbook_shared.limits import Limits

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
    "JobHandle",
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
    "UserCount",
    "UserNotFound",
]
