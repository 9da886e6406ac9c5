"""Queries for dead letters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rollbook.models import DeadLetter, Page
from rollbook.queries.page_cursor import PageCursor
from rollbook.queries.query import Statement, Steps, query, write_query
from rollbook_shared.database.statements import load

_SQL: Final = load(__package__, "dead_letters")


@query
def find_dead_letters(limit: int, after: PageCursor | None) -> Steps[Page[DeadLetter]]:
    """A page of the dead letters without their bodies, newest first."""
    rows = yield Statement(
        _SQL["page"],
        {
            "failed_at": None if after is None else after.datetime,
            "id": "" if after is None else after.id,
            "digest": b"" if after is None else bytes.fromhex(after.key),
            "limit": limit + 1,
        },
    )
    items = tuple(map(_dead_letter, rows[:limit]))
    if len(rows) <= limit:
        return Page(items=items, after=None)
    return Page(items=items, after=PageCursor.at(items[-1].failed_at, items[-1].id, items[-1].key).as_text())


@query
def find_dead_letters_of(job_id: str) -> Steps[tuple[DeadLetter, ...]]:
    """The dead letters of one id with their bodies, oldest first."""
    return tuple(map(_dead_letter, (yield Statement(_SQL["with_body"], {"id": job_id}))))


@write_query
def drop_dead_letter(dead_letter: DeadLetter) -> Steps[bool]:
    """Delete the dead letter, unless its job has failed again since it was read; says whether it was there."""
    key = {
        "id": dead_letter.id,
        "digest": bytes.fromhex(dead_letter.key),
        "failed_at": dead_letter.failed_at,
    }
    return bool((yield Statement(_SQL["drop"], key)))


def _dead_letter(row: Mapping[str, Any]) -> DeadLetter:
    body = row.get("body")
    return DeadLetter(
        id=row["id"],
        key=bytes(row["digest"]).hex(),
        kind=row["kind"],
        code=row["code"],
        reason=row["reason"],
        failed_at=row["failed_at"],
        body=None if body is None else bytes(body).decode(errors="backslashreplace"),
    )
