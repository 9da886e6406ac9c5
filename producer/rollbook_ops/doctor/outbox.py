"""Looks at the outbox, if there is one: whether a relay sends what is in it, and whether that is decided."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import psycopg

from rollbook.outbox import TABLE
from rollbook_ops.doctor.findings import Finding, many, ok, problem, span, warning
from rollbook_ops.doctor.postgres import open_postgres
from rollbook_shared.reasons import safe_reason
from rollbook_shared.settings import Settings

LATE_SECONDS: Final = 30.0
"""A relay that runs sends within a fraction of a second, and asks after each job in seconds."""
VERY_LATE_SECONDS: Final = 600.0

_STANDING: Final = """
SELECT
    count(*) FILTER (WHERE sent_at IS NULL),
    extract(epoch FROM now() - min(due_at) FILTER (WHERE sent_at IS NULL))::float,
    count(*) FILTER (WHERE sent_at IS NOT NULL),
    extract(epoch FROM now() - min(created_at) FILTER (WHERE sent_at IS NOT NULL))::float
FROM (SELECT sent_at, due_at, created_at FROM rollbook_outbox ORDER BY due_at LIMIT 100000) AS first
"""


def examine_outbox(settings: Settings) -> Iterator[Finding]:
    """How the outbox stands; nothing where there is none and none is spoken of."""
    try:
        with open_postgres(settings.need_outbox_url()) as connection:
            there = connection.execute("SELECT to_regclass(%s)", (TABLE,)).fetchone()
            if there and there[0]:
                yield _judge(connection)
            elif settings.outbox_url:
                yield problem("outbox", "there is no table rollbook_outbox", "Run `rollbook outbox create`.")
    except psycopg.Error as error:
        yield problem("outbox", f"not available: {safe_reason(error)}", "Check ROLLBOOK_OUTBOX_URL.")


def _judge(connection: psycopg.Connection) -> Finding:
    row = connection.execute(_STANDING).fetchone()
    assert row is not None
    unsent, late, unfinished, open_for = row
    said = f"{many(unsent, 'job')} to send, {unfinished:,} to be decided"
    if (late or 0) > LATE_SECONDS:
        found = problem if late > VERY_LATE_SECONDS else warning
        advice = "Is a relay running (`rollbook relay`)? Its log says what keeps it."
        return found("outbox", f"{said}, the first should have been sent {span(late)} ago", advice)
    if (open_for or 0) > VERY_LATE_SECONDS:
        # without a relay nobody settles what the workers have decided, and these rows look the same
        advice = "Is a relay running (`rollbook relay`)? If so they were sent: look at the workers and the queues."
        return warning("outbox", f"{said}, the first since {span(open_for)}", advice)
    return ok("outbox", said)
