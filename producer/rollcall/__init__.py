"""Rollcall: one answer to who a user is, and how to reach them."""

from rollcall.answers import (
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
from rollcall.client import Rollcall
from rollcall.errors import (
    InvalidJob,
    LetterNotFound,
    NotConfigured,
    NotDecided,
    NotSent,
    Problem,
    RollcallError,
    Unavailable,
    UserNotFound,
)
from rollcall.history import Activity, Actor, Feed, Message
from rollcall.jobs import Job
from rollcall_shared.limits import Limits

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
    "Rollcall",
    "RollcallError",
    "Taken",
    "Unavailable",
    "User",
    "UserNotFound",
]
