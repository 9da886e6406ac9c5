"""What the client raises.

    RollbookError
        InvalidRequest (a ValueError)       the call breaks a rule; nothing was sent. Fix the call.
        NotConfigured                       a URL, an extra, the tables or a right is missing. Fix the deployment.
        UserNotFound (a LookupError)        no user has this id
        DeadLetterNotFound (a LookupError)  no dead letter has this id
        JobTimeout (a TimeoutError)         the workers have not finished the job in time. Ask again.
        Unavailable                         a server does not answer or is busy. Try again.
            NotSent                         the broker may not have the job. Send it again with its `job_id`.
            BufferFull                      of `rb.buffered()`, in `rollbook.publishing.buffered`: too many users wait
                                            for the broker. Try again.

No text of an error holds a value of a user, so all of them may be logged.
"""

from __future__ import annotations

from rollbook.models import JobStatus
from rollbook_shared.errors import (
    InvalidRequest,
    NotConfigured,
    NotSent,
    Problem,
    RollbookError,
    Unavailable,
    UserNotFound,
)

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
    """No dead letter has this id: it was dropped or replayed, its retention is over, or it never existed.

    `dead_letter_id` is the id of the call.
    """

    def __init__(self, dead_letter_id: str) -> None:
        self.dead_letter_id = dead_letter_id
        super().__init__(f"no dead letter has the id {dead_letter_id}")


class JobTimeout(RollbookError, TimeoutError):
    """The workers have not finished the job in the given time. The job is not lost: ask again later.

    `job_id` is the job's id, `status` the last status that was read: `queued` or `deferred`.
    """

    def __init__(self, job_id: str, status: JobStatus) -> None:
        self.job_id = job_id
        self.status = status
        super().__init__(f"job {job_id} is still {status.state}")
