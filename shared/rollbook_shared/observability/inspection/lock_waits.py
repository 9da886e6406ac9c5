"""Who waits in Postgres for a lock that another transaction holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import psycopg

_WAITING: Final = """
WITH ours AS (
    SELECT oid FROM pg_class WHERE relnamespace = to_regnamespace('rollbook')
)
SELECT count(DISTINCT waiting.pid), coalesce(max(extract(epoch FROM clock_timestamp() - waiting.waitstart)), 0)::float
FROM pg_locks AS waiting
WHERE NOT waiting.granted
    AND EXISTS (
        SELECT FROM pg_locks AS touched
        WHERE touched.pid = waiting.pid
            AND touched.database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND touched.relation IN (SELECT oid FROM ours)
    )
"""
"""Transactions on our tables that wait, and since when the first does. Who waits for a row waits for the end of the
transaction that has it, and such a lock names no table; so the tables are those that the transaction has touched."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LockWaits:
    """Transactions that cannot go on for now."""

    transactions: int
    oldest: float
    """Seconds since the first of them began to wait."""


def find_lock_waits(connection: psycopg.Connection) -> LockWaits:
    """Look now: most waits last a few milliseconds, and are not seen. Raises what psycopg does."""
    row = connection.execute(_WAITING).fetchone()
    assert row is not None
    return LockWaits(transactions=row[0], oldest=row[1])
