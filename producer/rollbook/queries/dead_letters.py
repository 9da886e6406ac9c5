"""Queries for dead letters.

A replay claims its dead letter first. Of two at the same time one gets it, and the other learns that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from rollbook.errors import DeadLetterNotFound, ReplayConflict
from rollbook.models import DeadLetter, DeadLetterGroup, Page
from rollbook.queries.jobs import trace_id_of_row
from rollbook.queries.page_cursor import PageCursor
from rollbook.queries.query import Statement, Steps, query, write_query
from rollbook_shared.database.statements import load
from rollbook_shared.errors import InvalidRequest, Problem

MAX_COUNTED: Final = 10_000
"""How many dead letters of one code are counted."""
CLAIM_MARGIN_SECONDS: Final = 30.0
"""For so long after the end of its wait a replay that died keeps its dead letters."""
MAX_CLAIM_SECONDS: Final = 3_600.0

_SQL: Final = load(__package__, "dead_letters")


@query
def find_dead_letters(limit: int, after: PageCursor | None, code: str | None = None) -> Steps[Page[DeadLetter]]:
    """A page of the dead letters without their bodies, newest first; of one code, or of all."""
    rows = yield Statement(
        _SQL["page" if code is None else "page_of_code"],
        {
            "failed_at": None if after is None else after.datetime,
            "id": "" if after is None else after.id,
            "digest": b"" if after is None else bytes.fromhex(after.key),
            "code": code,
            "limit": limit + 1,
        },
    )
    items = tuple(map(_dead_letter, rows[:limit]))
    return Page(items=items, after=cursor_of(items[-1]).as_text() if len(rows) > limit else None)


@query
def count_dead_letters() -> Steps[tuple[DeadLetterGroup, ...]]:
    """How many dead letters each code has, the code of the newest first."""
    rows = yield Statement(_SQL["counts"], {"most": MAX_COUNTED})
    return tuple(
        DeadLetterGroup(
            code=row["code"],
            count=min(row["count"], MAX_COUNTED),
            is_exact=row["count"] <= MAX_COUNTED,
            oldest=row["oldest"],
            newest=row["newest"],
        )
        for row in rows
    )


@query
def find_dead_letter(job_id: str, key: str | None) -> Steps[DeadLetter]:
    """The dead letter of one id, or of several the one with this key, with its body; or `DeadLetterNotFound`."""
    return (yield from _find(job_id, key))


@write_query
def claim_dead_letter(dead_letter: DeadLetter, seconds: float) -> Steps[None]:
    """Claim the dead letter as it was read for one replay, which may take so long; or `ReplayConflict`."""
    parameters = {**_key(dead_letter), "failed_at": dead_letter.failed_at, "seconds": _claim_seconds(seconds)}
    if not (yield Statement(_SQL["claim"], parameters)):
        raise ReplayConflict(dead_letter.id)


@write_query
def claim_dead_letters(
    code: str, limit: int, after: PageCursor | None, seconds: float
) -> Steps[tuple[DeadLetter, ...]]:
    """Claim the next dead letters of a code for one replay, the oldest first, with their bodies."""
    rows = yield Statement(
        _SQL["claim_of_code"],
        {
            "code": code,
            "failed_at": None if after is None else after.datetime,
            "id": "" if after is None else after.id,
            "key": b"" if after is None else bytes.fromhex(after.key),
            "limit": limit,
            "seconds": _claim_seconds(seconds),
        },
    )
    return tuple(map(_dead_letter, rows))


@write_query
def release_dead_letters(dead_letters: Iterable[DeadLetter]) -> Steps[None]:
    """Give dead letters back that were claimed, for others to replay."""
    yield Statement(_SQL["release"], _keys(dead_letters))


@write_query
def drop_dead_letters(dead_letters: Iterable[DeadLetter]) -> Steps[int]:
    """Delete the dead letters, except those whose jobs have failed again since they were read; says how many."""
    return len((yield Statement(_SQL["drop"], _keys(dead_letters))))


@write_query
def drop_dead_letter_of(job_id: str, key: str | None) -> Steps[bool]:
    """Delete the dead letter that `find_dead_letter` finds; says whether it was there, or raises `ReplayConflict`."""
    try:
        dead_letter = yield from _find(job_id, key)
        if (yield Statement(_SQL["drop_unclaimed"], _key(dead_letter))):
            return True
        yield from _find(job_id, dead_letter.key)
    except DeadLetterNotFound:
        return False
    raise ReplayConflict(job_id)


@write_query
def drop_dead_letters_of_code(code: str, limit: int, until: datetime | None) -> Steps[int]:
    """Delete the oldest dead letters of a code, except those that a replay has; says how many."""
    return len((yield Statement(_SQL["drop_of_code"], {"code": code, "limit": limit, "until": until})))


def cursor_of(dead_letter: DeadLetter) -> PageCursor:
    """Where the dead letter stands in lists."""
    return PageCursor.at(dead_letter.failed_at, dead_letter.id, dead_letter.key)


def _find(job_id: str, key: str | None) -> Steps[DeadLetter]:
    every = map(_dead_letter, (yield Statement(_SQL["with_body"], {"id": job_id})))
    found = [dead_letter for dead_letter in every if key in (None, dead_letter.key)]
    if not found:
        raise DeadLetterNotFound(job_id)
    if len(found) > 1:
        keys = ", ".join(dead_letter.key for dead_letter in found)
        raise InvalidRequest([Problem("key", f"{len(found)} dead letters have this id; give one of {keys}")])
    return found[0]


def _claim_seconds(seconds: float) -> float:
    return min(max(seconds, 0.0), MAX_CLAIM_SECONDS) + CLAIM_MARGIN_SECONDS


def _key(dead_letter: DeadLetter) -> dict[str, object]:
    return {"id": dead_letter.id, "digest": bytes.fromhex(dead_letter.key)}


def _keys(dead_letters: Iterable[DeadLetter]) -> dict[str, object]:
    every = list(dead_letters)
    return {
        "ids": [each.id for each in every],
        "digests": [bytes.fromhex(each.key) for each in every],
        "failed_ats": [each.failed_at for each in every],
    }


def _dead_letter(row: Mapping[str, Any]) -> DeadLetter:
    body = row.get("body")
    return DeadLetter(
        id=row["id"],
        key=bytes(row["digest"]).hex(),
        kind=row["kind"],
        code=row["code"],
        reason=row["reason"],
        failed_at=row["failed_at"],
        trace_id=trace_id_of_row(row),
        body=None if body is None else bytes(body).decode(errors="backslashreplace"),
    )
