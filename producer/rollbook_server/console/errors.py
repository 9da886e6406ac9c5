"""Why a page is not shown, or an action not done, as a person reads it."""

from __future__ import annotations

from rollbook.errors import (
    DeadLetterNotFound,
    DeliveryNotFound,
    InvalidRequest,
    JobTimeout,
    NotConfigured,
    ReplayConflict,
    RollbookError,
    Unavailable,
    UserNotFound,
)


class ConsoleError(Exception):
    """Ends a page or an action. `status` is the status of the answer; the text is shown."""

    def __init__(self, status: int, title: str, text: str = "") -> None:
        self.status = status
        self.title = title
        super().__init__(text)

    @property
    def is_rejection(self) -> bool:
        """Whether the request is at fault, and not the server."""
        return self.status < 500


def console_error(error: Exception) -> ConsoleError | None:
    """The error of the client as one of the console; None: it is a fault of ours."""
    match error:
        case ConsoleError():
            return error
        case UserNotFound() | DeadLetterNotFound() | DeliveryNotFound():
            return ConsoleError(404, "Not found", str(error))
        case ReplayConflict():
            text = "Another operator replays this dead letter, or has done so. Nothing was sent. Look at it again."
            return ConsoleError(409, "Another operator was faster", text)
        case InvalidRequest():
            return ConsoleError(400, "Not valid", str(error))
        case NotConfigured():
            return ConsoleError(503, "Not set up", str(error))
        case JobTimeout():
            return ConsoleError(503, "Not finished yet", f"{error}. It is not lost: look at the job again later.")
        case TimeoutError():
            return ConsoleError(503, "It took too long", "Try again.")
        case Unavailable() | RollbookError():
            return ConsoleError(503, "Not available", str(error))
    return None
