"""Bounds how much is kept of one user: each job is bounded, but new keys, versions and merges add up.

A plain identify costs no statement more: the upsert itself says which rows are large. Only those are measured, and the
users whose preferences or push tokens changed, and those in identity clusters, of which a worker reads everything at
each write.

Which of several jobs meets the bound may depend on their order, so this stands outside of rule 24, as erasure does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final

from psycopg import Cursor

from rollbook_shared.database.statements import load
from rollbook_shared.database.user_sizes import UserSize, find_sizes
from rollbook_shared.jobs.models import BulkIdentify, BulkSetPreferences, Job, Trigger, UserUpdate
from rollbook_worker.store.rows import as_json

LARGE_BYTES: Final = 64 * 1024
"""Of a user's row: one that is smaller is not measured."""
_LARGE_USERS: Final = load(__package__, "large_users")


class UserTooLarge(Exception):
    """Jobs would pass the bound of what is kept of one user."""

    def __init__(self, found: UserSize, most: int, jobs: Sequence[Job] = ()) -> None:
        where = _field(jobs[0], found.ids) if len(jobs) == 1 else ""
        super().__init__(
            f"{where}{found.size:,} bytes would be kept of one user; ROLLBOOK_MAX_USER_BYTES allows {most:,}"
        )


def check_sizes(
    cursor: Cursor,
    ids: Collection[str],
    *,
    jobs: Sequence[Job],
    most: int,
    committed: Callable[[Collection[str]], list[UserSize]],
) -> None:
    """Check what this transaction has written of the users of these ids, as the `jobs` say. Large
    users are noted, so that the doctor finds them, and lists of users know where to end a page, without measuring any.

    committed: returns the sizes without what this transaction has written. A job that makes a user smaller is applied
        however large the user still is: the setting may have been lowered.

    Raises:
        UserTooLarge: a user has become larger, and is larger than `most`.
    """
    large = [found for found in find_sizes(cursor, ids) if found.size > min(most, LARGE_BYTES)]
    for found in large:
        if found.size > most:
            before = max((user.size for user in committed(found.ids)), default=0)
            if found.size > before:
                raise UserTooLarge(found, most, jobs)
    if large:
        rows = [{"user_id": found.root, "bytes": found.size} for found in large]
        cursor.execute(_LARGE_USERS["upsert"], {"users": as_json(rows)})


def _field(job: Job, ids: Collection[str]) -> str:
    """Where a job of many users names one of the ids: `users[3]: `."""
    match job:
        case BulkIdentify(users=items):
            name = "users"
        case BulkSetPreferences(user_ids=items):
            name = "user_ids"
        case Trigger(recipients=items):
            name = "recipients"
        case _:
            return ""
    named = (item.id if isinstance(item, UserUpdate) else item for item in items)
    return next((f"{name}[{index}]: " for index, id_ in enumerate(named) if id_ in ids), "")
