"""Looks at Postgres: whether it is there, migrated and in step, and what stands there that should be gone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

import psycopg
from psycopg import errors

from rollbook_ops.doctor.clocks import Clock, check_clock, read
from rollbook_ops.doctor.findings import Finding, many, ok, problem, span, warning
from rollbook_ops.doctor.versions import check_postgres_version
from rollbook_shared.database.schema import NEWEST_MIGRATION
from rollbook_shared.observability.inspection import Backlog, find_backlog
from rollbook_shared.reasons import safe_reason
from rollbook_shared.settings import Settings

_CONNECT_SECONDS: Final = 5
_ANSWER_MILLISECONDS: Final = 10_000
LATE_SECONDS: Final = 10.0
"""Maintenance releases every second."""
VERY_LATE_SECONDS: Final = 120.0
_TOO_LATE: Final = timedelta(days=1)
"""Past the time when a deleted user should have been erased: somebody may have promised that."""

_VERSION: Final = "SELECT version_num FROM rollbook.alembic_version"
_MAINTENANCE: Final = "Is maintenance running (`python -m rollbook_worker.maintenance`)? Its log says what keeps it."


def examine_postgres(settings: Settings, clock: Clock) -> Iterator[Finding]:
    """Everything about Postgres; only that it cannot be reached, if so."""
    try:
        with open_postgres(settings.need_database_url()) as connection:
            yield check_postgres_version(connection.info.server_version)
            reading = read(lambda: _time(connection), clock)
            yield check_clock("postgres", reading, settings.limits.max_clock_skew)
            migrations = _check_migrations(connection)
            yield migrations
            if migrations.level != "problem":
                now = int((clock() + reading.ahead) * 1_000_000)
                yield from check_backlog(
                    find_backlog(connection, now=now, settling=settings.erasure_delay), settling=settings.erasure_delay
                )
    except psycopg.Error as error:
        advice = "Check ROLLBOOK_DATABASE_URL, and that Postgres runs and takes connections from here."
        yield problem("postgres", f"not available: {safe_reason(error)}", advice)


def open_postgres(url: str) -> psycopg.Connection:
    """A connection that only reads, and waits for nothing long."""
    scheme, separator, rest = url.partition("://")
    connection = psycopg.connect(
        # as SQLAlchemy has it: postgresql+psycopg://
        f"{scheme.partition('+')[0]}{separator}{rest}",
        autocommit=True,
        connect_timeout=_CONNECT_SECONDS,
        application_name="rollbook doctor",
        prepare_threshold=None,
    )
    connection.execute(f"SET statement_timeout = {_ANSWER_MILLISECONDS}")
    connection.execute("SET default_transaction_read_only = on")
    return connection


def _time(connection: psycopg.Connection) -> float:
    row = connection.execute("SELECT extract(epoch FROM clock_timestamp())::float").fetchone()
    assert row is not None
    return float(row[0])


def _check_migrations(connection: psycopg.Connection) -> Finding:
    try:
        row = connection.execute(_VERSION).fetchone()
    except (errors.UndefinedTable, errors.InvalidSchemaName):
        row = None
    except errors.InsufficientPrivilege:
        return warning("migrations", "may not be read", "Ask as a role that may read rollbook.alembic_version.")
    if row is None:
        return problem("migrations", "there are no tables of Rollbook", "Run `rollbook migrate`.")
    found = str(row[0])
    if found == NEWEST_MIGRATION:
        return ok("migrations", f"up to date ({found})")
    if found < NEWEST_MIGRATION:
        return problem(
            "migrations", f"at {found}, and this version needs {NEWEST_MIGRATION}", "Run `rollbook migrate`."
        )
    return warning(
        "migrations", f"at {found}, and this version knows {NEWEST_MIGRATION}", "Upgrade Rollbook here as well."
    )


def check_backlog(backlog: Backlog, *, settling: timedelta) -> Iterator[Finding]:
    """What maintenance should have done, and what nobody can apply."""
    late = backlog.overdue or 0.0
    said = f"{many(backlog.deferred, 'job')}, {backlog.due:,} due"
    if late > VERY_LATE_SECONDS:
        yield problem("deferred jobs", f"{said}, the first for {span(late)}", _MAINTENANCE)
    elif late > LATE_SECONDS:
        yield warning("deferred jobs", f"{said}, the first for {span(late)}", _MAINTENANCE)
    else:
        yield ok("deferred jobs", said)
    if backlog.unerased:
        since = backlog.oldest_unerased or 0.0
        said = f"{many(backlog.unerased, 'delete')} overdue, the first of {span(since)} ago"
        found = problem if since > (settling + _TOO_LATE).total_seconds() else warning
        yield found("erasure", said, _MAINTENANCE)
    else:
        yield ok("erasure", "nothing overdue")
    if backlog.letters:
        codes = ", ".join(f"{letters.code} {letters.count:,}" for letters in backlog.letters)
        said = f"{many(sum(letters.count for letters in backlog.letters), 'letter')} ({codes}), the newest from"
        advice = "`rollbook jobs dead` lists them; replay or drop them."
        yield warning("dead letters", f"{said} {span(backlog.letters[0].newest)} ago", advice)
    else:
        yield ok("dead letters", "none")
