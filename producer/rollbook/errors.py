"""What the client raises.

    RollbookError
        InvalidRequest (a ValueError)       the call breaks a rule; nothing was sent. Fix the call.
        NotConfigured                       a URL, an extra, the tables or a right is missing. Fix the deployment.
        UserNotFound (a LookupError)        no user has this id
        DeadLetterNotFound (a LookupError)  no dead letter has this id
        ReplayConflict                      another replay has the dead letter, or had it
        DeliveryNotFound (a LookupError)    no delivery has this id
        DeliveryFailed                      raised by a sender: it could not hand a delivery over
        LeaseLost                           a report does not count: another sender may have the delivery by now
        JobTimeout (a TimeoutError)         the workers have not finished the job in time. Ask again.
        Unavailable                         a server does not answer or is busy. Try again.
            NotSent                         the broker may not have the job. Send it again with its `job_id`.
            BufferFull                      of `rb.buffered()`, in `rollbook.publishing.buffered`: too many users wait
                                            for the broker. Try again.

No text of an error holds a value of a user, so all of them may be logged.
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
    "DeliveryFailed",
    "DeliveryNotFound",
    "InvalidRequest",
    "JobTimeout",
    "LeaseLost",
    "NotConfigured",
    "NotSent",
    "Problem",
    "ReplayConflict",
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


class DeliveryFailed(RollbookError):
    """Raised by a sender within `rb.deliveries.attempt`: the delivery was not handed over.

    `reason` is kept with the delivery, `retry_after` are the seconds until it is tried again at the earliest, and
    `permanent` says that it is given up.
    """

    def __init__(self, reason: str, *, retry_after: float | None = None, permanent: bool = False) -> None:
        self.reason = reason
        self.retry_after = retry_after
        self.permanent = permanent
        super().__init__(reason)


class DeliveryNotFound(RollbookError, LookupError):
    """No delivery has this id: its message stays here, was erased, or never existed. `delivery_id` is the id."""

    def __init__(self, delivery_id: str) -> None:
        self.delivery_id = delivery_id
        super().__init__(f"no delivery has the id {delivery_id}")


class LeaseLost(RollbookError):
    """The report does not count, and the delivery is as it was: the lease ended and another sender claimed it, or it is
    done already. `delivery_id` is its id; `rb.deliveries.get` says what became of it.
    """

    def __init__(self, delivery_id: str) -> None:
        self.delivery_id = delivery_id
        super().__init__(f"the lease of the delivery {delivery_id} was lost; the report does not count")


class ReplayConflict(RollbookError):
    """Another replay has the dead letter now, or its job has failed again since it was read. Nothing was sent, and
    nothing dropped. `dead_letter_id` is its id; read it again to see what became of it.
    """

    def __init__(self, dead_letter_id: str) -> None:
        self.dead_letter_id = dead_letter_id
        super().__init__(f"another replay has the dead letter {dead_letter_id}, or had it; read it again")


class JobTimeout(RollbookError, TimeoutError):
    """The workers have not finished the job in the given time. The job is not lost: ask again later.

    `job_id` is the job's id, `status` the last status that was read: `queued` or `deferred`.
    """

    def __init__(self, job_id: str, status: JobStatus) -> None:
        self.job_id = job_id
        self.status = status
        super().__init__(f"job {job_id} is still {status.state}")
