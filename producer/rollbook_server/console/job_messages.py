"""The messages that a trigger made, with what became of each: the outcome of the job for each item."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rollbook.queries.query import Statement, Steps, query
from rollbook_shared.database.statements import load

MOST_MESSAGES: Final = 200
"""Of one job on its page."""
_SQL: Final = load(__package__, "jobs")


@dataclass(frozen=True, kw_only=True, slots=True)
class JobMessage:
    """A message of a job."""

    id: str
    recipient: str
    """The id to which it was addressed."""
    channel: str
    """The channel's type."""
    state: str | None
    """Of its delivery; None: it has none, or is in the feed."""
    reason: str | None


@query
def find_messages_of_job(job_id: str) -> Steps[tuple[JobMessage, ...]]:
    """The messages of a job, by recipient; one more than `MOST_MESSAGES` says that there are more."""
    rows = yield Statement(_SQL["messages"], {"job_id": job_id, "limit": MOST_MESSAGES + 1})
    return tuple(
        JobMessage(
            id=str(row["id"]),
            recipient=row["recipient"],
            channel=row["channel"],
            state=row["state"],
            reason=row["reason"],
        )
        for row in rows
    )
