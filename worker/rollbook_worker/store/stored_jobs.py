"""Stored jobs: the texts of deferred jobs and dead letters, each with the users that it names, and how erased users are
taken out of them, and out of what rejected and cancelled jobs name.

What a text says of an erased user goes, and what it says of others stays. A deferred job that is about an erased user
alone is cancelled; a dead letter that no job would be left of goes. Only jobs that were asked for before the delete
count, because an id may be used again.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from psycopg import Cursor

from rollbook_shared.database.statements import load
from rollbook_shared.domain.stamps import Stamp, occurred_at_of, stamp_floor
from rollbook_shared.jobs.named_users import named_users, without_users
from rollbook_worker.store.rows import Row, as_json

_SQL: Final = load(__package__, "stored_jobs")
_PAGE: Final = 10
"""Texts in memory at once; each may have tens of megabytes."""


def users_columns(text: str, *, now: int) -> Row:
    """The columns of a stored job that say whose it is, and when it was asked for, if that is known."""
    named = named_users(text)
    at = named.requested_at
    # a stamp may lie in the future, and nothing was asked for there
    return {"user_ids": list(named.ids), "requested_at": None if at is None else min(at, now)}


def earliest_requests(rows: Iterable[Row]) -> dict[str, Stamp]:
    """The users that stored jobs name, each with a stamp before all of those jobs that say when they were asked for."""
    earliest: dict[str, int] = {}
    for row in rows:
        if (at := row["requested_at"]) is not None:
            for user_id in row["user_ids"]:
                earliest[user_id] = min(at, earliest.get(user_id, at))
    return {user_id: stamp_floor(at) for user_id, at in earliest.items()}


def erase_from_stored_jobs(
    cursor: Cursor, erased: Mapping[str, Stamp], *, delay: int, now: int
) -> dict[str, Counter[str]]:
    """Take users out of the deferred jobs, the dead letters, and the rejected and cancelled jobs from before their
    deletes; return, by table, how many of each user. The caller has locked the users.

    A dead letter that does not say when its job was asked for counts as from before the delete, if it arrived within
    `delay` (in microseconds) after it.
    """
    until = {id_: occurred_at_of(stamp) for id_, stamp in erased.items()}
    users = json.dumps([{"id": id_, "until": at, "arrived_until": at + delay} for id_, at in until.items()])
    return {
        "deferred_jobs": _erase_from_deferred(cursor, users, now),
        "dead_letters": _erase_from_dead_letters(cursor, users),
        "jobs": _erase_from_finished(cursor, users),
    }


class _Text(NamedTuple):
    """A stored text, and the erased users that it names."""

    key: tuple[str, bytes]
    text: str
    erased: set[str]

    @property
    def rest(self) -> tuple[str, list[str]] | None:
        """What is left of it, and the users whom that names."""
        text = without_users(self.text, self.erased)
        return None if text is None else (text, self.others(text))

    def others(self, text: str) -> list[str]:
        """The users that a text names and that are not erased."""
        return [id_ for id_ in named_users(text).ids if id_ not in self.erased]


def _erase_from_deferred(cursor: Cursor, users: str, now: int) -> Counter[str]:
    counts: Counter[str] = Counter()
    while page := _texts(cursor, "lock_deferred", users):
        changed: list[Row] = []
        cancelled: list[Row] = []
        for text in page:
            counts.update(text.erased)
            if (rest := text.rest) is None:
                cancelled.append({"id": text.key[0], "user_ids": text.others(text.text)})
            else:
                changed.append({"id": text.key[0], "body": rest[0], "user_ids": rest[1]})
        cursor.execute(_SQL["replace_deferred"], {"jobs": json.dumps(changed)})
        cursor.execute(_SQL["cancel_deferred"], {"jobs": json.dumps(cancelled), "now": now})
    return counts


def _erase_from_dead_letters(cursor: Cursor, users: str) -> Counter[str]:
    counts: Counter[str] = Counter()
    while page := _texts(cursor, "lock_dead_letters", users):
        changed: list[Row] = []
        gone: list[Row] = []
        for text in page:
            counts.update(text.erased)
            key: Row = {"id": text.key[0], "digest": text.key[1].hex()}
            if (rest := text.rest) is None:
                gone.append(key)
            else:
                changed.append({**key, "body": rest[0].encode().hex(), "user_ids": rest[1]})
        cursor.execute(_SQL["replace_dead_letters"], {"dead_letters": as_json(changed)})
        cursor.execute(_SQL["delete_dead_letters"], {"dead_letters": as_json(gone)})
    return counts


def _erase_from_finished(cursor: Cursor, users: str) -> Counter[str]:
    cursor.execute(_SQL["erase_from_finished"], {"erased": users})
    return Counter(id_ for (id_,) in cursor)


def _texts(cursor: Cursor, statement: str, users: str) -> Collection[_Text]:
    cursor.execute(_SQL[statement], {"erased": users, "limit": _PAGE})
    return list(_gathered(cursor))


def _gathered(rows: Iterable[tuple[str, bytes, str | bytes, str]]) -> Iterator[_Text]:
    """A text for each job; the rows of one job, which follow each other, name one erased user each."""
    last: _Text | None = None
    for id_, digest, body, user_id in rows:
        if last is not None and last.key == (id_, bytes(digest)):
            last.erased.add(user_id)
            continue
        if last is not None:
            yield last
        text = body if isinstance(body, str) else bytes(body).decode(errors="backslashreplace")
        last = _Text((id_, bytes(digest)), text, {user_id})
    if last is not None:
        yield last
