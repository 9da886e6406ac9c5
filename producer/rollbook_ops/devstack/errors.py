"""The errors of local servers."""

from __future__ import annotations

from rollbook_shared.errors import RollbookError


class ServerFailed(RollbookError):
    """A local server could not be found, started or reached; the message says what to do.

    `summary` is its first line. `details` are the other lines, such as the end of a log; they may be empty.
    """

    def __init__(self, summary: str, *, details: str = "") -> None:
        self.summary = summary
        self.details = details
        super().__init__(f"{summary}\n{details}" if details else summary)
