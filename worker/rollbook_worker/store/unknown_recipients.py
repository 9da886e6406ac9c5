"""Forgets what was addressed to ids that stood for no user.

A trigger writes rows for every recipient, known or not: an identify that is stamped before the trigger may arrive after
it. None is expected any more once the trigger is older than the erasure delay. The rows of a recipient who is unknown
even then belong to no user for ever, and anyone who may send a trigger could fill the disk with them. So a recipient
that is unknown when its trigger is applied is noted, and looked at once more when the delay is over.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from psycopg import Cursor

from rollbook_shared.database.statements import load
from rollbook_shared.domain.stamps import Stamp
from rollbook_worker.store.rows import Row, as_json

_UNKNOWN_RECIPIENTS: Final = load(__package__, "unknown_recipients")
_ERASURE: Final = load(__package__, "erasure")


def note_unknown(cursor: Cursor, recipients: list[Row]) -> None:
    """Note recipients, each with the stamp of its trigger."""
    if recipients:
        cursor.execute(_UNKNOWN_RECIPIENTS["insert"], {"recipients": as_json(recipients)})


def note_erased(cursor: Cursor, ids: Collection[str]) -> None:
    """Note what was addressed to erased users after their delete, before the delete was known."""
    if ids:
        cursor.execute(_UNKNOWN_RECIPIENTS["insert_of_erased"], {"ids": list(ids)})


def forget_unknown(cursor: Cursor, *, horizon: Stamp, limit: int) -> tuple[int, int]:
    """Look at `limit` noted recipients of triggers before the horizon, and forget what was addressed to those that are
    still unknown; return how many were looked at, and how many rows were deleted.
    """
    row = cursor.execute(_UNKNOWN_RECIPIENTS["forget"], {"horizon": horizon, "limit": limit}).fetchone()
    assert row is not None
    looked_at, deleted, job_ids = row
    if job_ids:
        cursor.execute(_ERASURE["delete_triggers"], {"job_ids": job_ids})
    return looked_at, deleted
