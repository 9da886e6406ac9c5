"""Checks the outbox, if there is one: that a relay sends its jobs, and that the workers finish them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import psycopg
from psycopg import errors
from psycopg.sql import SQL, Identifier

from rollbook_ops.doctor.postgres import open_postgres
from rollbook_ops.formatting import format_count, format_duration
from rollbook_ops.relay.outbox_table import find_outbox
from rollbook_shared.database.schema import outbox_name
from rollbook_shared.database.shared_sessions import transaction
from rollbook_shared.database.statements import load
from rollbook_shared.observability.findings import Finding, ok, problem, warning
from rollbook_shared.reasons import safe_reason
from rollbook_shared.settings import Settings

LATE_SECONDS: Final = 30.0
"""A running relay sends within a fraction of a second, and looks up each job within seconds."""
VERY_LATE_SECONDS: Final = 600.0

_SQL: Final = load("rollbook_ops.doctor", "outbox")


def examine_outbox(settings: Settings) -> Iterator[Finding]:
    """Check the outbox. Reports nothing if there is no table and `ROLLBOOK_OUTBOX_URL` is not set."""
    outbox = outbox_name(settings.schema)
    try:
        with (
            open_postgres(settings.need_outbox_url(), settings.schema, uses_own_search_path=True) as connection,
            transaction(connection),
        ):
            if (table := find_outbox(connection, outbox)) is not None:
                yield from _check_counts(connection, table)
            elif settings.outbox_url:
                yield problem("outbox", f"the table {outbox} is missing", "Run `rollbook outbox create`.")
    except errors.UndefinedColumn:
        yield problem("outbox", f"the table {outbox} is from an earlier version", "Run `rollbook outbox create`.")
    except psycopg.Error as error:
        yield problem("outbox", f"not available: {safe_reason(error)}", "Check ROLLBOOK_OUTBOX_URL.")


def _check_counts(connection: psycopg.Connection, table: Identifier) -> Iterator[Finding]:
    row = connection.execute(SQL(_SQL["overdue"]).format(outbox=table)).fetchone()
    assert row is not None
    unsent, late, unfinished, unfinished_for, unsendable, unsendable_for = row
    yield _check_unfinished(unsent, late or 0.0, unfinished, unfinished_for or 0.0)
    if unsendable:
        summary = f"{format_count(unsendable, 'job')}, the oldest from {format_duration(unsendable_for)} ago"
        advice = "Redis accepts other jobs: see `Redis does not accept a job` in the runbook."
        yield warning("unsendable jobs", summary, advice)


def _check_unfinished(unsent: int, late: float, unfinished: int, unfinished_for: float) -> Finding:
    summary = f"{format_count(unsent, 'job')} to send, {unfinished:,} sent and not finished"
    if late > LATE_SECONDS:
        level = problem if late > VERY_LATE_SECONDS else warning
        advice = "Is a relay running (`rollbook relay`)? Its log says what blocks it."
        return level("outbox", f"{summary}, the oldest is overdue for {format_duration(late)}", advice)
    if unfinished_for > VERY_LATE_SECONDS:
        # Without a relay nothing removes the rows of finished jobs, which look the same.
        advice = "Is a relay running (`rollbook relay`)? If so, check the workers and the queues."
        return warning("outbox", f"{summary}, the oldest for {format_duration(unfinished_for)}", advice)
    return ok("outbox", summary)
