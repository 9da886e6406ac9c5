"""What a failure of Postgres means to the caller of a read."""

from __future__ import annotations

from typing import Final

import psycopg

from rollbook_shared.database.failover import READ_ONLY_ERRORS
from rollbook_shared.errors import NotConfigured, RollbookError, Unavailable
from rollbook_shared.reasons import safe_reason

_READ_ONLY: Final = "this Postgres is read-only, as a replica is; cancel and drop need the primary's URL"
_NOT_CONFIGURED: Final = {
    "42P01": "the database has no tables of Rollbook in this schema yet; run `rollbook migrate`, or correct "
    "ROLLBOOK_DATABASE_URL or ROLLBOOK_SCHEMA",
    "42501": "the role in the database's URL may not do this; see deploy/roles.sql",
    "25006": _READ_ONLY,
    "0A000": _READ_ONLY,  # what a replica says to BEGIN READ WRITE
}
"""What an operator must fix, by Postgres' error code."""


def failure_of(error: psycopg.Error, *, broken: bool, looks_for_primary: bool) -> RollbookError | None:
    """What to raise in place of the driver's error; None for an error of the statement itself, a fault of ours.

    broken: whether the connection can no longer be used.
    looks_for_primary: whether the URL asks for a server that can write, and the next connection will find it.
    """
    if looks_for_primary and isinstance(error, READ_ONLY_ERRORS):
        return Unavailable("this Postgres has become read-only, as a replica is; another one becomes the primary")
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return Unavailable(f"the database could not be reached or did not answer: {safe_reason(error)}")
    if (what := _NOT_CONFIGURED.get(error.sqlstate or "")) is not None:
        return NotConfigured(what)
    return Unavailable("the connection to the database broke") if broken else None
