"""What calls return: frozen values, without behaviour of their own."""

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
