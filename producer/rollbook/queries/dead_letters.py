"""Lists dead letters, shows and drops them."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, RowMapping, delete, literal, select, tuple_
from sqlalchemy.types import LargeBinary

from rollbook.models import DeadLetter, Page
from rollbook.queries.job_cursors import JobCursor
from rollbook_shared.database.tables import dead_letters

_ORDER = (dead_letters.c.failed_at, dead_letters.c.id, dead_letters.c.digest)
_HEAD = (*_ORDER, dead_letters.c.kind, dead_letters.c.code, dead_letters.c.reason)


def find_dead(connection: Connection, limit: int, after: JobCursor | None) -> Page[DeadLetter]:
    """A page of dead letters, the newest first; without bodies, which may be large."""
    query = select(*_HEAD)
    if after is not None:
        end = tuple_(after.at, after.id, literal(bytes.fromhex(after.key), LargeBinary))
        query = query.where(tuple_(*_ORDER) < end)
    rows = connection.execute(query.order_by(*(column.desc() for column in _ORDER)).limit(limit + 1)).mappings().all()
    items = tuple(map(_letter, rows[:limit]))
    last = items[-1] if len(rows) > limit else None
    return Page(items=items, after=JobCursor(last.failed_at, last.id, last.key).as_text() if last else None)


def find_dead_letters(connection: Connection, letter_id: str) -> list[DeadLetter]:
    """The letters that bear this id, the oldest first."""
    query = select(dead_letters).where(dead_letters.c.id == letter_id).order_by(*_ORDER)
    return [_letter(row) for row in connection.execute(query).mappings()]


def drop(connection: Connection, letter: DeadLetter) -> bool:
    """Forget the letter as it was read: one that died again since says something new."""
    this: tuple[ColumnElement[bool], ...] = (
        dead_letters.c.id == letter.id,
        dead_letters.c.digest == bytes.fromhex(letter.key),
        dead_letters.c.failed_at == letter.failed_at,
    )
    return connection.execute(delete(dead_letters).where(*this)).rowcount > 0


def _letter(row: RowMapping) -> DeadLetter:
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
