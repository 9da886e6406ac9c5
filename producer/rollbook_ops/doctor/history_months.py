"""Checks that the months of the history are made ahead, and that those that are too old are dropped."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

import psycopg

from rollbook_ops.formatting import format_count, format_duration
from rollbook_shared.observability.findings import Finding, ok, problem, warning
from rollbook_worker.store.overdue_months import find_overdue_months

MADE: Final = "months ahead"
DROPPED: Final = "months too old"
_VERY_LATE: Final = timedelta(days=1)
"""A month that is still there so long after it should be dropped is a problem: the retention may have been promised."""
_ADVICE: Final = (
    "Is maintenance running, with the same ROLLBOOK_MESSAGE_RETENTION_DAYS? See `Months of the history are late` in "
    "docs/how-to/runbook.md."
)


def check_history_months(connection: psycopg.Connection, retention: timedelta | None) -> Iterator[Finding]:
    """Check the months that maintenance makes and drops. Without a retention there are none."""
    if retention is None:
        yield from (ok(name, "messages are kept for ever") for name in (MADE, DROPPED))
        return
    found = find_overdue_months(connection, retention=retention)
    if found.not_made:
        summary = f"not made for {', '.join(found.not_made)}"
        if found.is_current_missing:
            yield problem(MADE, f"{summary}, and this month's rows go to an earlier one", _ADVICE)
        else:
            yield warning(MADE, summary, _ADVICE)
    else:
        yield ok(MADE, "made")
    if found.not_dropped:
        summary = f"{format_count(len(found.not_dropped), 'partition')} not dropped"
        summary = f"{summary}, the oldest for {format_duration(found.overdue)}"
        level = problem if found.overdue > _VERY_LATE.total_seconds() else warning
        yield level(DROPPED, summary, _ADVICE)
    else:
        yield ok(DROPPED, "none")
