"""Transactions that wait for a lock of another transaction."""

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
"""Transactions on our tables that wait, and how long the first has waited. A transaction that waits for a row waits for
the end of the transaction that holds it, and that lock names no table: so this looks at the tables it has touched."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LockWaits:
    """Transactions that wait for a lock."""

    transactions: int
    oldest: float
    """Seconds since the first of them began to wait."""


def find_lock_waits(connection: psycopg.Connection) -> LockWaits:
    """Look once: most waits last a few milliseconds and are not seen. Raises psycopg's errors."""
    row = connection.execute(_WAITING).fetchone()
    assert row is not None
    return LockWaits(transactions=row[0], oldest=row[1])
