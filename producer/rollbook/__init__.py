"""Rollbook: one answer to who a user is, and how to reach them.

What is named here is imported when it is first asked for: the command line, which is in this package, would else take
three times as long to print its help.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
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

_HOMES: Final = {
    "rollbook.client": ("Rollbook",),
    "rollbook.jobs": ("Job",),
    "rollbook.models.history": ("Activity", "Actor", "Feed", "Message"),
    "rollbook_shared.jobs.limits": ("Limits",),
    "rollbook.models.answers": (
        "Conflict",
        "DeadLetter",
        "DeferredJob",
        "JobStatus",
        "MergePreview",
        "Page",
        "RefusedItem",
        "Taken",
        "User",
    ),
    "rollbook.errors": (
        "InvalidJob",
        "LetterNotFound",
        "NotConfigured",
        "NotDecided",
        "NotSent",
        "Problem",
        "RollbookError",
        "Unavailable",
        "UserNotFound",
    ),
}
_HOME_OF: Final = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_HOME_OF[name]), name)
    return found
