"""Rollcall: one answer to who a user is, and how to reach them.

What is named here is imported when it is first asked for: the command line, which is in this package, would else take
three times as long to print its help.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
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

_HOMES: Final = {
    "rollcall.client": ("Rollcall",),
    "rollcall.jobs": ("Job",),
    "rollcall.history": ("Activity", "Actor", "Feed", "Message"),
    "rollcall_shared.limits": ("Limits",),
    "rollcall.answers": (
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
    "rollcall.errors": (
        "InvalidJob",
        "LetterNotFound",
        "NotConfigured",
        "NotDecided",
        "NotSent",
        "Problem",
        "RollcallError",
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
