"""Forgets old outcomes and dead letters, in chunks, each a transaction of its own that holds only old rows.

Nothing depends on the ledger of jobs but what people are told. What a worker keeps is a join of facts: applying a job
again, after its outcome is forgotten, joins facts that are there already, and changes nothing; so rules 23 and 24 hold
with an empty ledger (and `receipts` stand in for what was erased). Only two things are then judged anew: another job
under an id that was forgotten is not found to be `id_reused`, and a redelivery counts as applied, not as a duplicate.

Two states are never forgotten by age. `deferred`: the row goes with its job, when it is due. `cancelled`: no fact says
that a job was cancelled, so a redelivery of it, however late, must find the ledger's row.
"""

from __future__ import annotations

from typing import Final

from psycopg import Cursor

from rollbook_worker.store.statements import load

_JOBS: Final = load("jobs")


def prune_jobs(cursor: Cursor, *, horizon: int, limit: int) -> int:
    """Forget up to `limit` outcomes decided before the horizon; return how many."""
    return cursor.execute(_JOBS["prune_jobs"], {"horizon": horizon, "limit": limit}).rowcount


def prune_dead_letters(cursor: Cursor, *, horizon: int, limit: int) -> int:
    """Forget up to `limit` dead letters that died before the horizon; return how many."""
    return cursor.execute(_JOBS["prune_dead_letters"], {"horizon": horizon, "limit": limit}).rowcount
