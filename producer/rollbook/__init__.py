"""Rollbook: one answer to who a user is, and how to reach them."""

from typing import TYPE_CHECKING

from rollbook_shared.lazy_names import lazy_names

if TYPE_CHECKING:
    from rollbook.async_client import AsyncRollbook
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
    from rollbook.resources.async_jobs import AsyncJobHandle
    from rollbook.resources.jobs import JobHandle
    from rollbook_shared.limits import Limits, MistakenIds, PoolLimits
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "rollbook.async_client": "AsyncRollbook",
            "rollbook.client": "Rollbook",
            "rollbook.errors": (
                "DeadLetterNotFound DeliveryFailed DeliveryNotFound InvalidRequest JobTimeout LeaseLost "
                "NotConfigured NotSent Problem ReplayConflict RollbookError Unavailable UserNotFound"
            ),
            "rollbook.models": (
                "Activity ActivityRole Actor ArchivedFilter Conflict DeadLetter DeadLetterCode DeadLetterGroup "
                "DeferredJob Delivery DeliveryReport DeliveryState DeliveryStatus Engagement ExplainedEvent "
                "ExplainedPeriod ExplainedSetting ExplainedToken ExplainedValue Feed FeedStatus FilledValue "
                "JobState JobStatus Measurement MergePreview Message MessageExplanation Page RejectedItem "
                "ReplayReport UnsentReplay User UserCount UserExplanation"
            ),
            "rollbook.queries": "MessageFilter",
            "rollbook.resources.async_jobs": "AsyncJobHandle",
            "rollbook.resources.jobs": "JobHandle",
            "rollbook_shared.limits": "Limits MistakenIds PoolLimits",
        },
    )

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
