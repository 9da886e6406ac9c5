"""Compaction: takes away sightings that can decide nothing any more, in short transactions.

Whether a user was known when a trigger ran depends on the first sighting after the delete before it. Of a user whom no
merge or delete names, that is the first of all, which stands in its row; a delete stamped before the horizon is not
expected any more, and one stamped later leaves the first in its place. The last sighting stays: it is the newest
change.

A user's row lists its few newest sightings itself. A list that is full moves to the table, and what has settled is
dropped then in the same way. So users who are told of a few times a day have no row in the table, and others have one
for every eight tellings.
"""

from __future__ import annotations

from typing import Final

from psycopg import Cursor

from rollbook_shared.domain.stamps import Stamp
from rollbook_worker.store.statements import load

Place = tuple[str, str]
BEGINNING: Final[Place] = ("", "")
_ERASURE: Final = load("erasure")


def compact_sightings(cursor: Cursor, *, horizon: Stamp, after: Place, limit: int) -> tuple[int, Place | None]:
    """Look at `limit` lists behind `after`; return how many were taken, and where to go on (None: done)."""
    user_id, last = after
    cursor.execute(
        _ERASURE["compact_identify_log"],
        {"horizon": horizon, "user_id": user_id, "last_stamp": last, "limit": limit},
    )
    row = cursor.fetchone()
    return (row[0], (row[1], row[2])) if row else (0, None)
