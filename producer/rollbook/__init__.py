"""Rollbook: one answer to who a user is, and how to reach them."""

from typing import TYPE_CHECKING, Any

from rollbook.client import Rollbook
from rollbook.errors import (
    DeadLetterNotFound,
    DeliveryFailed,
    DeliveryNotFound,
    InvalidRequest,
    JobTimeout,
    LeaseLost,
    NotConfigured,
    NotSent,
    Problem,
    ReplayConflict,
    RollbookError,
    Unavailable,
    UserNotFound,
)
from rollbook.models import (
    Activity,
    ActivityRole,
    Actor,
    ArchivedFilter,
    Conflict,
    DeadLetter,
    DeadLetterCode,
    DeadLetterGroup,
    DeferredJob,
    Delivery,
    DeliveryReport,
    DeliveryState,
    DeliveryStatus,
    Engagement,
    ExplainedEvent,
    ExplainedPeriod,
    ExplainedSetting,
    ExplainedToken,
    ExplainedValue,
    Feed,
    FeedStatus,
    FilledValue,
    JobState,
    JobStatus,
    Measurement,
    MergePreview,
    Message,
    MessageExplanation,
    Page,
    RejectedItem,
    ReplayReport,
    UnsentReplay,
    User,
    UserCount,
    UserExplanation,
)
from rollbook.queries import MessageFilter
from rollbook.resources.jobs import JobHandle
from rollbook_shared.limits import Limits, MistakenIds, PoolLimits

if TYPE_CHECKING:
    from rollbook.async_client import AsyncRollbook
    from rollbook.resources.async_jobs import AsyncJobHandle

__all__ = [
    "Activity",
    "ActivityRole",
    "Actor",
    "ArchivedFilter",
    "AsyncJobHandle",
    "AsyncRollbook",
    "Conflict",
    "DeadLetter",
    "DeadLetterCode",
    "DeadLetterGroup",
    "DeadLetterNotFound",
    "DeferredJob",
    "Delivery",
    "DeliveryFailed",
    "DeliveryNotFound",
    "DeliveryReport",
    "DeliveryState",
    "DeliveryStatus",
    "Engagement",
    "ExplainedEvent",
    "ExplainedPeriod",
    "ExplainedSetting",
    "ExplainedToken",
    "ExplainedValue",
    "Feed",
    "FeedStatus",
    "FilledValue",
    "InvalidRequest",
    "JobHandle",
    "JobState",
    "JobStatus",
    "JobTimeout",
    "LeaseLost",
    "Limits",
    "Measurement",
    "MergePreview",
    "Message",
    "MessageExplanation",
    "MessageFilter",
    "MistakenIds",
    "NotConfigured",
    "NotSent",
    "Page",
    "PoolLimits",
    "Problem",
    "RejectedItem",
    "ReplayConflict",
    "ReplayReport",
    "Rollbook",
    "RollbookError",
    "Unavailable",
    "UnsentReplay",
    "User",
    "UserCount",
    "UserExplanation",
    "UserNotFound",
]


def __getattr__(name: str) -> Any:
    # imported when it is used: a program without asyncio need not import that
    match name:
        case "AsyncRollbook":
            from rollbook.async_client import AsyncRollbook

            return AsyncRollbook
        case "AsyncJobHandle":
            from rollbook.resources.async_jobs import AsyncJobHandle

            return AsyncJobHandle
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
