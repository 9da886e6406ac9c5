"""What can go wrong, and whose fault it is: the caller's job (`InvalidRequest`), or the infrastructure (`Unavailable`).

Only infrastructure failures are worth a retry; a job that is invalid stays invalid. Expected results (a duplicate, a
skipped recipient) are outcomes, not exceptions. No message holds personal data: errors name fields, places and
reasons, never values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a job: the `field` as the caller named it (`users[3].email`), the `reason`, and in a
    bulk job or a trigger the `index` (from 0) of the user it belongs to.
    """

    field: str
    reason: str
    index: int | None = None

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}"


class RollbookError(Exception):
    """Something went wrong in Rollbook: the root of what its calls raise."""


class InvalidRequest(RollbookError, ValueError):
    """The job, or the question, breaks a rule; nothing was sent. `problems` holds everything that is wrong with it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__("; ".join(map(str, self.problems)) or type(self).__doc__)


class Undecodable(RollbookError):
    """The message is not a job of a kind and version known here.

    `code` is a `DeadLetterCode`.
    """

    def __init__(self, code: str, reason: str, *, job_id: str | None = None, kind: str | None = None) -> None:
        self.code = code
        self.reason = reason
        self.job_id = job_id
        self.kind = kind
        super().__init__(f"{code}: {reason}")


class UserNotFound(RollbookError, LookupError):
    """Nobody has this id now; `merged_into` names the user that a merged-away id stands for, else it is None.

    `user_id` is what was asked for.
    """

    def __init__(self, user_id: str, merged_into: str | None = None) -> None:
        self.user_id = user_id
        self.merged_into = merged_into
        super().__init__("user not found" + ("; its id stands for the user `merged_into`" if merged_into else ""))


class NotConfigured(RollbookError):
    """Something that this call needs is missing: a URL, an extra, Rollbook's tables, or a right in the database."""


class Unavailable(RollbookError):
    """A server could not be reached, or did not answer in time; trying again later may succeed."""


class NotSent(Unavailable):
    """The broker did not take the job, or its answer was lost. Sending it again under the same `job_id` is always
    safe: a job that did arrive is applied once. `reason` is the root cause.
    """

    def __init__(self, job_id: str, reason: str = "") -> None:
        self.job_id = job_id
        self.reason = reason
        because = f" ({reason})" if reason else ""
        super().__init__(f"job {job_id} may not have been sent{because}; sending it again under this id is safe")
