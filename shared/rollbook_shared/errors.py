"""The errors, and whose fault they are: the caller's (`InvalidRequest`) or the infrastructure's (`Unavailable`).

Only failures of the infrastructure are worth a retry: an invalid request stays invalid. Expected results (a duplicate,
a skipped recipient) are outcomes and not exceptions. No text holds personal data: errors name fields, indexes and
reasons, never values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a request: the `field` as the caller named it (`users[3].email`), the `reason`, and
    in a bulk job or a trigger the `index` (from 0) of the user.
    """

    field: str
    reason: str
    index: int | None = None

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}"


class RollbookError(Exception):
    """Base class of the errors that Rollbook raises."""


class InvalidRequest(RollbookError, ValueError):
    """The request breaks a rule; nothing was sent. `problems` holds everything that is wrong with it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__("; ".join(map(str, self.problems)) or type(self).__doc__)


class Undecodable(RollbookError):
    """The message is not a job, or not of a kind and version that this process knows. `code` is a `DeadLetterCode`."""

    def __init__(self, code: str, reason: str, *, job_id: str | None = None, kind: str | None = None) -> None:
        self.code = code
        self.reason = reason
        self.job_id = job_id
        self.kind = kind
        super().__init__(f"{code}: {reason}")


class UserNotFound(RollbookError, LookupError):
    """No user has the id `user_id`. If it was merged, `merged_into` is the id of the primary; otherwise it is None."""

    def __init__(self, user_id: str, merged_into: str | None = None) -> None:
        self.user_id = user_id
        self.merged_into = merged_into
        super().__init__("user not found" + ("; it was merged into the user `merged_into`" if merged_into else ""))


class NotConfigured(RollbookError):
    """The call needs something that is missing: a setting, an extra, Rollbook's tables, or a privilege in Postgres."""


class Unavailable(RollbookError):
    """A server could not be reached or did not answer in time. Trying again later may succeed."""


class NotSent(Unavailable):
    """The broker did not accept the job, or its answer was lost. Sending it again under the same `job_id` is always
    safe: a job that did arrive is applied once. `reason` is the root cause.
    """

    def __init__(self, job_id: str, reason: str = "") -> None:
        self.job_id = job_id
        self.reason = reason
        because = f" ({reason})" if reason else ""
        super().__init__(f"job {job_id} may not have been sent{because}; sending it again under this id is safe")
