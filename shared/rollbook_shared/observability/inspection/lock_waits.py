"""Transactions that wait for a lock of another transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rollbook_shared.database.statements import load

if TYPE_CHECKING:
    import psycopg

_SQL: Final = load(__package__, "lock_waits")


@dataclass(frozen=True, kw_only=True, slots=True)
class LockWaits:
    """Transactions that wait for a lock."""

    transactions: int
    oldest: float
    """Seconds since the first of them began to wait."""


def find_lock_waits(connection: psycopg.Connection) -> LockWaits:
    """Look once: most waits last a few milliseconds and are not seen. Raises psycopg's errors."""
    row = connection.execute(_SQL["waiting"]).fetchone()
    assert row is not None
    return LockWaits(transactions=row[0], oldest=row[1])
