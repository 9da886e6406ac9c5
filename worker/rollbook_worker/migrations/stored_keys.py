"""Keys that are stored for optional indexes: filled and cleared while workers run.

A key is a generated column, made by a function of its own. By default this function returns null, and the column costs
nothing. To fill it, the function gets its real body, and the rows that were written before are written once more, a few
at a time. So the key is right in every row that is written later, by any process, and leaves with the value that it
is made of: erasure has nothing more to do. An index on an expression would need no column, but then no update of a user
would stay on its page (HOT): Postgres compares the values of indexed columns, not of indexed expressions.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

import psycopg
from psycopg import errors

from rollbook_shared.backoff import Backoff
from rollbook_worker.migrations.locking import LOCK_SECONDS, TIMEOUT_SECONDS

BATCH_ROWS: Final = 1_000
"""How many users are written in one transaction."""
_BACKOFF: Final = Backoff(first=0.1, longest=5.0)


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A column that an optional index needs."""

    column: str
    type: str
    expression: str
    """What the function returns of `value`, when the column is filled."""
    attribute: str
    """The key of the profile."""

    def body(self, expression: str) -> str:
        """The statement that makes the function return the expression."""
        return (
            f"CREATE OR REPLACE FUNCTION rollbook.stored_{self.column}(value text) RETURNS {self.type}"
            f" LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN {expression}"
        )

    @property
    def is_outdated(self) -> str:
        """The condition of rows whose column has not what the function returns now."""
        visible = f"cluster_root, resolved_profile, first_identified, profile, '{self.attribute}'"
        return f"{self.column} IS DISTINCT FROM rollbook.stored_{self.column}(rollbook.visible_attribute({visible}))"


# Generated columns are computed anew in each row in which a column that they depend on is set. Rows that are locked are
# skipped: to wait for a lock with others in hand could end in a deadlock with a worker.
_WRITE: Final = """
WITH batch AS (
    SELECT id
    FROM rollbook.users
    WHERE id > %(after)s
        AND ({is_outdated})
    ORDER BY id
    LIMIT %(most)s
    FOR UPDATE SKIP LOCKED
)
UPDATE rollbook.users AS u
SET first_identified = u.first_identified
FROM batch
WHERE u.id = batch.id
RETURNING u.id
"""
_IS_ANY_LEFT: Final = "SELECT EXISTS (SELECT FROM rollbook.users WHERE {is_outdated})"


def fill_keys(connection: psycopg.Connection, keys: Sequence[StoredKey]) -> None:
    """Store these keys in all rows, and from now on in every row that is written.

    Raises:
        psycopg.OperationalError: a lock was in the way for too long, or the connection broke. Trying again goes on
            where it ended.
    """
    _redefine(connection, {key: key.expression for key in keys})


def clear_keys(connection: psycopg.Connection, keys: Sequence[StoredKey]) -> None:
    """Store these keys no longer, and remove them from all rows.

    Raises:
        psycopg.OperationalError: see `fill_keys`.
    """
    _redefine(connection, {key: f"NULL::{key.type}" for key in keys})


def _redefine(connection: psycopg.Connection, expressions: dict[StoredKey, str]) -> None:
    if not expressions:
        return
    for key, expression in expressions.items():
        connection.execute(key.body(expression).encode())
    for _ in _attempts():
        if _wait_for_writers(connection):
            break
    is_outdated = " OR ".join(key.is_outdated for key in expressions)
    for _ in _attempts():
        _write_rows(connection, is_outdated)
        if connection.execute(_IS_ANY_LEFT.format(is_outdated=is_outdated).encode()).fetchone() == (False,):
            return


def _attempts() -> Iterator[int]:
    """Numbers, with a wait after each; the last one when time is over raises."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    for number in count():
        yield number
        if time.monotonic() > deadline:
            raise errors.LockNotAvailable("other transactions have locked users all the time")
        time.sleep(_BACKOFF.delay(number))


def _wait_for_writers(connection: psycopg.Connection) -> bool:
    """Wait until no statement runs that began before the functions changed. False if one still runs."""
    try:
        with connection.transaction():
            connection.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
            connection.execute("LOCK TABLE rollbook.users IN SHARE MODE")
    except (errors.LockNotAvailable, errors.DeadlockDetected):
        return False
    return True


def _write_rows(connection: psycopg.Connection, is_outdated: str) -> None:
    statement = _WRITE.format(is_outdated=is_outdated).encode()
    after = ""
    while written := connection.execute(statement, {"after": after, "most": BATCH_ROWS}).fetchall():
        after = max(id_ for (id_,) in written)
