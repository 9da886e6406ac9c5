"""What calls return: frozen values, without behaviour of their own."""

from rollbook.models.activity import Activity, ActivityRole, Actor
from rollbook.models.dead_letter import DeadLetter
from rollbook.models.job import DeferredJob, JobStatus, RejectedItem
from rollbook.models.merge_preview import Conflict, FilledValue, MergePreview
from rollbook.models.message import Engagement, Feed, FeedStatus, Message
from rollbook.models.page import Page
from rollbook.models.user import User
from rollbook.models.user_count import UserCount
from rollbook_shared.job_states import DeadLetterCode, JobState

__all__ = [
    "Activity",
    "ActivityRole",
    "Actor",
    "Conflict",
    "DeadLetter",
    "DeadLetterCode",
    "DeferredJob",
    "Engagement",
    "Feed",
    "FeedStatus",
    "FilledValue",
    "JobState",
    "JobStatus",
    "MergePreview",
    "Message",
    "Page",
    "RejectedItem",
    "User",
    "UserCount",
]
