"""What the face raises: the errors of the contract, and those that only asking after jobs knows.

    RollbookError
        InvalidRequest (a ValueError)       what was asked for breaks a rule; nothing was sent. Mend the call.
        NotConfigured                   a URL, an extra, the tables or a right is missing. Mend the deployment.
        UserNotFound (a LookupError)    nobody has this id now
        DeadLetterNotFound (a LookupError)  there is no such dead letter
        JobTimeout (a TimeoutError)     the workers have not decided the job yet. Ask again.
        Unavailable                     a server is away or busy. Try again.
            NotSent                     the broker may not have the job. Send it again under its `job_id`.
            BufferFull                  of `rb.buffered()`, in `rollbook.publishing.buffered`: the broker is behind.
            Tell again.

No text of theirs holds a value of a user, so all of them may be logged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rollbook_shared.errors import (
    InvalidRequest,
    NotConfigured,
    NotSent,
    Problem,
    RollbookError,
    Unavailable,
    UserNotFound,
)

if TYPE_CHECKING:
    from rollbook.models import JobStatus

__all__ = [
    "DeadLetterNotFound",
    "InvalidRequest",
    "JobTimeout",
    "NotConfigured",
    "NotSent",
    "Problem",
    "RollbookError",
    "Unavailable",
    "UserNotFound",
]


class DeadLetterNotFound(RollbookError, LookupError):
    """There is no such dead letter: it was dropped, forgotten with age, or replayed; or there never was one.

    `letter_id` is what was asked for.
    """

    def __init__(self, letter_id: str) -> None:
        self.letter_id = letter_id
        super().__init__(f"no dead letter bears the id {letter_id}")


class JobTimeout(RollbookError, TimeoutError):
    """The workers have not decided the job in the time given. It is not lost: ask again later.

    `job_id` says which, `status` what was known of it last: `queued` or `deferred`.
    """

    def __init__(self, job_id: str, status: JobStatus) -> None:
        self.job_id = job_id
        self.status = status
        super().__init__(f"job {job_id} is still {status.state}")
