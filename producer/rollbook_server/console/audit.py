"""The audit: a row for each action in the console, also for rejected ones. No row holds a value of a user."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from rollbook.models import Page
from rollbook.queries.query import Statement, Steps, query, write_query
from rollbook_shared.database.statements import load

MAX_REASON: Final = 500
_MAX_TARGET: Final = 300
_SQL: Final = load(__package__, "audit")


class Result(StrEnum):
    """What became of an action."""

    BEGUN = "begun"
    """It runs, or the server ended meanwhile."""
    DONE = "done"
    REJECTED = "rejected"
    FAILED = "failed"


@dataclass(kw_only=True, slots=True)
class AuditNote:
    """What a page says of its action, for its row of the audit."""

    user_ids: list[str] = field(default_factory=list)
    """The users whom it concerns: their ids are taken out when they are erased."""
    target: str | None = None
    """What else it concerns, such as the id of a delivery. Never a value of a user, and never a user's id."""
    job_id: str | None = None
    """The job that it sent."""
    reason: str | None = None
    """What the account gave as reason."""

    def name_users(self, ids: Iterable[str]) -> None:
        """Add users."""
        self.user_ids.extend(id_ for id_ in ids if id_ not in self.user_ids)


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditEntry:
    """A row of the audit."""

    id: int
    at: datetime
    account: str | None
    action: str
    outcome: Result
    user_ids: tuple[str, ...]
    target: str | None
    job_id: str | None
    reason: str | None


@write_query
def write_audit(account: str | None, action: str, outcome: Result, note: AuditNote) -> Steps[int]:
    """Write a row; return its id."""
    (row,) = yield Statement(_SQL["write"], {"account": account, "action": action, **_columns(outcome, note)})
    return int(row["id"])


@write_query
def finish_audit(id_: int, outcome: Result, note: AuditNote) -> Steps[None]:
    """Say what became of an action that has begun."""
    yield Statement(_SQL["finish"], {"id": id_, **_columns(outcome, note)})


@query
def list_audit(
    *,
    limit: int,
    before: int | None = None,
    account: str | None = None,
    action: str | None = None,
    user_id: str | None = None,
) -> Steps[Page[AuditEntry]]:
    """A page of the audit, the newest first; `before` is the last id of the page before it."""
    filters = {"account": account, "action": action, "user_id": user_id, "before": before}
    rows = yield Statement(_SQL["list"], {**filters, "limit": limit + 1})
    entries = tuple(
        AuditEntry(
            id=row["id"],
            at=row["at"],
            account=row["account"],
            action=row["action"],
            outcome=Result(row["outcome"]),
            user_ids=tuple(row["user_ids"] or ()),
            target=row["target"],
            job_id=row["job_id"],
            reason=row["reason"],
        )
        for row in rows[:limit]
    )
    return Page(items=entries, after=str(entries[-1].id) if len(rows) > limit else None)


def _columns(outcome: Result, note: AuditNote) -> dict[str, object]:
    return {
        "outcome": outcome.value,
        "user_ids": note.user_ids or None,
        "target": None if note.target is None else note.target[:_MAX_TARGET],
        "job_id": note.job_id,
        "reason": None if note.reason is None else note.reason[:MAX_REASON],
    }
