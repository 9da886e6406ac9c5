"""Measures what waits in Postgres and what was done there in the last seconds, and keeps that for an hour.

Any number of processes may measure: a measurement belongs to a multiple of ten seconds by Postgres' clock, and the
first that is made for a time stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import orjson
from psycopg import Cursor

from rollbook_shared.database.statements import load
from rollbook_shared.figures import EVERY_SECONDS, KEPT_SECONDS
from rollbook_shared.observability.inspection import find_backlog, find_due_deliveries, find_lock_waits
from rollbook_worker.store.transactions import Transactions

_SQL: Final = load(__package__, "measurements")
_SECOND: Final = 1_000_000
"""In microseconds."""
_EVERY: Final = EVERY_SECONDS * _SECOND
LAG: Final = 5 * _SECOND
"""Jobs have the time at which their transaction began: it is over by then."""
_OLDEST_LATENCY: Final = KEPT_SECONDS * _SECOND
_SAMPLE: Final = 1_000
_MAX_COUNT: Final = 100_000
_STATES: Final = ("sent", "undeliverable", "skipped")

Figures = Mapping[str, float]


class MeasurementLog:
    """The measurements of one database."""

    def __init__(self, transactions: Transactions, *, erasure_delay: timedelta) -> None:
        self._transactions = transactions
        self._erasure_delay = erasure_delay

    def is_due(self, *, now: int | None = None) -> bool:
        """Whether there is no measurement of this time yet."""
        return self._transactions.run(
            lambda cursor, at: cursor.execute(_SQL["is_measured"], {"at": _slot(at)}).fetchone() is None, now=now
        )

    def take(self, others: Figures, *, now: int | None = None) -> None:
        """Measure, and keep that with the figures that were measured elsewhere.

        Raises:
            Unavailable: Postgres is not available.
        """

        def measure(cursor: Cursor, at: int) -> None:
            figures = {**others, **self._figures(cursor, at)}
            oldest = _slot(at) - KEPT_SECONDS * _SECOND
            cursor.execute(_SQL["keep"], {"at": _slot(at), "figures": orjson.dumps(figures).decode(), "oldest": oldest})

        self._transactions.run(measure, now=now)

    def _figures(self, cursor: Cursor, at: int) -> dict[str, float]:
        until = _slot(at) - LAG
        window: dict[str, Any] = {"since": until - _EVERY, "until": until, "limit": _MAX_COUNT}
        finished = _one(cursor, "finished", window)
        dead = _one(cursor, "dead", window)
        figures: dict[str, float] = {
            "jobs_per_second": finished / EVERY_SECONDS,
            "dead_letters_per_second": dead / EVERY_SECONDS,
        }
        latencies = _one(cursor, "latencies", {**window, "oldest": until - _OLDEST_LATENCY, "sample": _SAMPLE})
        if latencies is not None:
            figures |= zip(
                ("latency_seconds.p50", "latency_seconds.p95", "latency_seconds.p99"), latencies, strict=True
            )
        for state, count in cursor.execute(_SQL["deliveries"], {**window, "states": list(_STATES)}).fetchall():
            figures[f"deliveries_per_second.{state}"] = count / EVERY_SECONDS
        backlog = find_backlog(cursor.connection, erasure_delay=self._erasure_delay)
        due = find_due_deliveries(cursor.connection)
        return figures | {
            "deferred_jobs": backlog.deferred,
            "deferred_overdue_seconds": backlog.overdue or 0,
            "dead_letters": sum(each.count for each in backlog.dead_letters),
            "deliveries_due": sum(each.count for each in due),
            "deliveries_oldest_due_seconds": max((each.oldest for each in due), default=0),
            "lock_waits": find_lock_waits(cursor.connection).transactions,
        }


def _slot(at: int) -> int:
    return at - at % _EVERY


def _one(cursor: Cursor, name: str, parameters: Mapping[str, Any]) -> Any:
    row = cursor.execute(_SQL[name], parameters).fetchone()
    assert row is not None
    return row[0]
