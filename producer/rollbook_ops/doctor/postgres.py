"""Checks Postgres: that it is available and migrated, its clock, overdue maintenance, and dead letters."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

import psycopg
from psycopg import errors

from rollbook_ops.doctor.clocks import LocalClock, check_clock, read_clock
from rollbook_ops.doctor.findings import Finding, ok, problem, warning
from rollbook_ops.doctor.versions import check_postgres_version
from rollbook_ops.formatting import format_count, format_duration
from rollbook_shared.database.encoding import ENCODING_ADVICE, wrong_encoding
from rollbook_shared.database.statements import load
from rollbook_shared.database.url import parse_database_url
from rollbook_shared.observability.inspection import Backlog, find_backlog
from rollbook_shared.reasons import safe_reason
from rollbook_shared.settings import Settings
from rollbook_worker.migrations.revisions import newest_revision

_CONNECT_SECONDS: Final = 5
_ANSWER_MILLISECONDS: Final = 10_000
LATE_SECONDS: Final = 10.0
"""Maintenance releases deferred jobs every second."""
VERY_LATE_SECONDS: Final = 120.0
_ERASURE_GRACE: Final = timedelta(days=1)
"""A deleted user that is not erased so long after the due time is a problem: the erasure may have been promised."""

_SQL: Final = load("rollbook_ops.doctor", "postgres")
_MAINTENANCE: Final = "Is maintenance running (`rollbook maintenance`)? Its log says what blocks it."


def examine_postgres(settings: Settings, clock: LocalClock) -> Iterator[Finding]:
    """Check everything about Postgres; if it is not available, report only that."""
    try:
        with open_postgres(settings.need_database_url()) as connection:
            yield check_postgres_version(connection.info.server_version)
            if (encoding := wrong_encoding(connection)) is not None:
                yield problem("postgres", f"the database has the encoding {encoding}", f"{ENCODING_ADVICE}.")
                return
            reading = read_clock(lambda: _server_time(connection), clock)
            yield check_clock("postgres", reading, settings.limits.max_clock_skew)
            migrations = _check_migrations(connection)
            yield migrations
            if migrations.level != "problem":
                now = int((clock() + reading.ahead) * 1_000_000)
                delay = settings.erasure_delay
                yield from check_backlog(find_backlog(connection, now=now, erasure_delay=delay), erasure_delay=delay)
    except psycopg.Error as error:
        advice = "Check ROLLBOOK_DATABASE_URL, and that Postgres runs and accepts connections from here."
        yield problem("postgres", f"not available: {safe_reason(error)}", advice)


def open_postgres(url: str) -> psycopg.Connection:
    """Connect read-only and with short timeouts."""
    parameters = parse_database_url(url)
    connection = psycopg.connect(
        **{**parameters, "connect_timeout": _CONNECT_SECONDS, "application_name": "rollbook doctor"},
        autocommit=True,
        prepare_threshold=None,
    )
    connection.execute(f"SET statement_timeout = {_ANSWER_MILLISECONDS}")
    connection.execute("SET default_transaction_read_only = on")
    return connection


def _server_time(connection: psycopg.Connection) -> float:
    row = connection.execute(_SQL["server_time"]).fetchone()
    assert row is not None
    return float(row[0])


def _check_migrations(connection: psycopg.Connection) -> Finding:
    try:
        row = connection.execute(_SQL["schema_revision"]).fetchone()
    except (errors.UndefinedTable, errors.InvalidSchemaName):
        row = None
    except errors.InsufficientPrivilege:
        return warning("migrations", "not permitted to read", "Use a role that may read rollbook.alembic_version.")
    if row is None:
        return problem("migrations", "Rollbook's tables are missing", "Run `rollbook migrate`.")
    found, newest = str(row[0]), newest_revision()
    if found == newest:
        return ok("migrations", f"up to date ({found})")
    if found < newest:
        return problem("migrations", f"at {found}; this version needs {newest}", "Run `rollbook migrate`.")
    return warning("migrations", f"at {found}; this version knows {newest}", "Upgrade Rollbook here, too.")


def check_backlog(backlog: Backlog, *, erasure_delay: timedelta) -> Iterator[Finding]:
    """Check for overdue maintenance and for dead letters."""
    late = backlog.overdue or 0.0
    summary = f"{format_count(backlog.deferred, 'job')}, {backlog.due:,} due"
    if late > VERY_LATE_SECONDS:
        yield problem("deferred jobs", f"{summary}, the oldest for {format_duration(late)}", _MAINTENANCE)
    elif late > LATE_SECONDS:
        yield warning("deferred jobs", f"{summary}, the oldest for {format_duration(late)}", _MAINTENANCE)
    else:
        yield ok("deferred jobs", summary)
    if backlog.overdue_erasures:
        since = backlog.oldest_overdue_erasure or 0.0
        summary = (
            f"{format_count(backlog.overdue_erasures, 'delete')} overdue, the oldest from {format_duration(since)} ago"
        )
        level = problem if since > (erasure_delay + _ERASURE_GRACE).total_seconds() else warning
        yield level("erasure", summary, _MAINTENANCE)
    else:
        yield ok("erasure", "nothing overdue")
    if backlog.dead_letters:
        codes = ", ".join(f"{count.code} {count.count:,}" for count in backlog.dead_letters)
        total = format_count(sum(count.count for count in backlog.dead_letters), "dead letter")
        newest = format_duration(backlog.dead_letters[0].newest)
        advice = "`rollbook jobs dead` lists them; replay or drop them."
        yield warning("dead letters", f"{total} ({codes}), the newest from {newest} ago", advice)
    else:
        yield ok("dead letters", "none")
