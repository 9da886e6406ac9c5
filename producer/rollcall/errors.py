"""What the face raises. The errors of the contract, and the one that only waiting knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rollcall_shared.errors import (
    InvalidJob,
    NotConfigured,
    NotSent,
    Problem,
    RollcallError,
    Unavailable,
    UserNotFound,
)

if TYPE_CHECKING:
    from rollcall.answers import JobStatus

__all__ = [
    "InvalidJob",
    "LetterNotFound",
    "NotConfigured",
    "NotDecided",
    "NotSent",
    "Problem",
    "RollcallError",
    "Unavailable",
    "UserNotFound",
]


class LetterNotFound(RollcallError, LookupError):
    """There is no such dead letter: it was dropped, forgotten with age, or replayed; or there never was one."""

    def __init__(self, letter_id: str) -> None:
        self.letter_id = letter_id
        super().__init__(f"no dead letter bears the id {letter_id}")


class NotDecided(RollcallError, TimeoutError):
    """The workers have not decided the job in the time given. It is not lost: ask again later.

    `status` is what was known of the job last, `queued` or `deferred`.
    """

    def __init__(self, job_id: str, status: JobStatus) -> None:
        self.job_id = job_id
        self.status = status
        super().__init__(f"job {job_id} is still {status.state}")
