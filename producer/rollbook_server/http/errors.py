"""Errors as answers: a status and a JSON body with `code`, `message`, `status`, `type` and a list of problems.

No text quotes what the caller sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rollbook.errors import (
    DeadLetterNotFound,
    DeliveryNotFound,
    InvalidRequest,
    JobTimeout,
    NotConfigured,
    NotSent,
    Problem,
    ReplayConflict,
    RollbookError,
    Unavailable,
    UserNotFound,
)

RETRY_AFTER_MS: Final = 1_000
"""What an answer with 503 asks of the caller. The official SDKs obey it, with the same idempotency key."""
_TYPES: Final[Mapping[int, str]] = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "authorization_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "invalid_request_error",
    409: "invalid_request_error",
    413: "invalid_request_error",
    415: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
    431: "invalid_request_error",
    500: "api_error",
    503: "api_error",
}


class ApiError(Exception):
    """An answer that is no success."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        problems: Sequence[Problem] = (),
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        """Prepare the answer.

        status: of HTTP.
        code: for programs, such as `invalid_params`.
        message: for people.
        problems: what is wrong with the request, each with its field.
        headers: of the answer.
        extra: further fields of the body.
        """
        super().__init__(message)
        self.status = status
        self.code = code
        self.problems = tuple(problems)
        self.headers = dict(headers or {})
        self._extra = extra

    def body(self) -> dict[str, Any]:
        """The JSON body."""
        body: dict[str, Any] = {
            "code": self.code,
            "message": str(self),
            "status": self.status,
            "type": _TYPES.get(self.status, "api_error"),
            **self._extra,
        }
        if self.problems:
            body["errors"] = [problem_as_json(problem) for problem in self.problems]
        return body


def problem_as_json(problem: Problem) -> dict[str, Any]:
    """A problem with its `field`, `message` and, for one of several users, `index`."""
    body: dict[str, Any] = {"field": problem.field, "message": problem.reason}
    if problem.index is not None:
        body["index"] = problem.index
    return body


def not_found(message: str, **extra: Any) -> ApiError:
    """404: there is no such thing."""
    return ApiError(404, "resource_missing", message, **extra)


def invalid(problems: Sequence[Problem], *, status: int = 422) -> ApiError:
    """422: the request breaks a rule. The message has the first problems, as some SDKs show only that."""
    message = "; ".join(map(str, problems[:3])) or "the request is invalid"
    return ApiError(status, "invalid_params", message, problems=problems)


def unavailable(message: str, *, code: str = "unavailable") -> ApiError:
    """503: to try again later may succeed, and is safe with the same idempotency key."""
    headers = {"retry-after-ms": str(RETRY_AFTER_MS), "retry-after": str(-(-RETRY_AFTER_MS // 1_000))}
    return ApiError(503, code, message, headers=headers)


def api_error(error: RollbookError) -> ApiError:
    """The answer for what the client raised."""
    match error:
        case InvalidRequest():
            return invalid(error.problems)
        case UserNotFound(merged_into=None):
            return not_found("the user was not found")
        case UserNotFound():
            message = "the user was not found; it was merged into the user `merged_into`"
            return not_found(message, merged_into=error.merged_into)
        case DeadLetterNotFound():
            return not_found("no dead letter has this id")
        case ReplayConflict():
            message = "another replay has the dead letter, or had it; read it again"
            return ApiError(409, "replay_conflict", message)
        case JobTimeout():
            message = "the workers have not finished the job in time; it is not lost, and sending it again is safe"
            return unavailable(message, code="job_timeout")
        case DeliveryNotFound():
            return not_found("no delivery has this id")
        case NotSent():
            return unavailable("the broker did not take the job; sending the request again with the same key is safe")
        case Unavailable():
            return unavailable("the database could not be reached or did not answer in time")
        case NotConfigured():
            return ApiError(500, "not_configured", "the server lacks a setting; its log says which")
        case _:
            return ApiError(500, "internal_error", "the server failed; its log says why")
