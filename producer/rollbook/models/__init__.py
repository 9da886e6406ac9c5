"""What calls return: frozen values, without behaviour of their own."""

from typing import TYPE_CHECKING

from rollbook_shared.lazy_names import lazy_names

if TYPE_CHECKING:
    from rollbook.models.activity import Activity, ActivityRole, Actor
    from rollbook.models.dead_letter import DeadLetter, DeadLetterGroup, ReplayReport, UnsentReplay
    from rollbook.models.delivery import (
        Content,
        Delivery,
        DeliveryOutcome,
        DeliveryReport,
        DeliveryState,
        DeliveryStatus,
    )
    from rollbook.models.explanation import (
        ExplainedEvent,
        ExplainedPeriod,
        ExplainedSetting,
        ExplainedToken,
        ExplainedValue,
        MessageExplanation,
        OwnerReason,
        UserExplanation,
    )
    from rollbook.models.job import DeferredJob, JobStatus, MergeEffect, RejectedItem
    from rollbook.models.measurement import Measurement
    from rollbook.models.merge_preview import Conflict, FilledValue, MergePreview
    from rollbook.models.message import ArchivedFilter, Engagement, Feed, FeedStatus, Message
    from rollbook.models.page import Page
    from rollbook.models.user import User
    from rollbook.models.user_count import UserCount
    from rollbook_shared.job_states import DeadLetterCode, JobState
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "rollbook.models.activity": "Activity ActivityRole Actor",
            "rollbook.models.dead_letter": "DeadLetter DeadLetterGroup ReplayReport UnsentReplay",
            "rollbook.models.delivery": (
                "Content Delivery DeliveryOutcome DeliveryReport DeliveryState DeliveryStatus"
            ),
            "rollbook.models.explanation": (
                "ExplainedEvent ExplainedPeriod ExplainedSetting ExplainedToken ExplainedValue MessageExplanation "
                "OwnerReason UserExplanation"
            ),
            "rollbook.models.job": "DeferredJob JobStatus MergeEffect RejectedItem",
            "rollbook.models.measurement": "Measurement",
            "rollbook.models.merge_preview": "Conflict FilledValue MergePreview",
            "rollbook.models.message": "ArchivedFilter Engagement Feed FeedStatus Message",
            "rollbook.models.page": "Page",
            "rollbook.models.user": "User",
            "rollbook.models.user_count": "UserCount",
            "rollbook_shared.job_states": "DeadLetterCode JobState",
        },
    )

__all__ = [
    "Activity",
    "ActivityRole",
    "Actor",
    "ArchivedFilter",
    "Conflict",
    "Content",
    "DeadLetter",
    "DeadLetterCode",
    "DeadLetterGroup",
    "DeferredJob",
    "Delivery",
    "DeliveryOutcome",
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
    "JobState",
    "JobStatus",
    "Measurement",
    "MergeEffect",
    "MergePreview",
    "Message",
    "MessageExplanation",
    "OwnerReason",
    "Page",
    "RejectedItem",
    "ReplayReport",
    "UnsentReplay",
    "User",
    "UserCount",
    "UserExplanation",
]
