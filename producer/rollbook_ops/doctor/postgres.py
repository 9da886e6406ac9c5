"""Checks Postgres: that it is available and migrated, its clock, overdue maintenance, and dead letters."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

import psycopg
from psycopg import errors

from rollbook_ops.doctor.clocks import LocalClock, check_clock, read_clock
from rollbook_ops.doctor.deliveries import check_deliveries
from rollbook_ops.doctor.history_months import check_history_months
from rollbook_ops.doctor.hosts import check_hosts
from rollbook_ops.doctor.versions import check_postgres_version
from rollbook_ops.formatting import format_count, format_duration, format_size
from rollbook_shared.database.encoding import ENCODING_ADVICE, wrong_encoding
from rollbook_shared.database.erasure_keys import (
    DEFAULT_KEY_ADVICE,
    DEFAULT_KEY_WARNING,
    WRONG_KEY,
    WRONG_KEY_ADVICE,
    knows_all_keys,
)
from rollbook_shared.database.session import Session, make_session, open_session
from rollbook_shared.database.shared_sessions import is_shared, transaction
from rollbook_shared.database.statements import load
from rollbook_shared.database.timeouts import timeout_connection
from rollbook_shared.database.user_sizes import find_sizes
from rollbook_shared.jobs.celery_task import alias
from rollbook_shared.observability.findings import Finding, ok, problem, warning
from rollbook_shared.observability.inspection import Backlog, find_backlog
from rollbook_shared.reasons import rejected_by_pooler, safe_reason
from rollbook_shared.settings import DEFAULT_KEY, Settings
from rollbook_worker.migrations.revisions import newest_revision

_CONNECT_SECONDS: Final = 5
_ANSWER: Final = timedelta(seconds=10)
LATE_SECONDS: Final = 10.0
"""Maintenance releases deferred jobs every second."""
VERY_LATE_SECONDS: Final = 120.0
_ERASURE_GRACE: Final = timedelta(days=1)
"""A deleted user that is not erased so long after the due time is a problem: the erasure may have been promised."""

NEAR: Final = 0.8
"""Of `ROLLBOOK_MAX_USER_BYTES`."""
MEASURED_USERS: Final = 20
NAMED_USERS: Final = 3
_SQL: Final = load("rollbook_ops.doctor", "postgres")
_MAINTENANCE: Final = "Is maintenance running (`rollbook maintenance`)? Its log says what blocks it."


def examine_postgres(settings: Settings, clock: LocalClock) -> Iterator[Finding]:
    """Check everything about Postgres; if it is not available, report only that."""
    yield from check_hosts(_session(settings.need_database_url(), settings.schema))
    try:
        with open_postgres(settings.need_database_url(), settings.schema) as connection, transaction(connection):
            yield check_postgres_version(connection.info.server_version)
            yield from _check_pooler(connection)
            if (encoding := wrong_encoding(connection)) is not None:
                yield problem("postgres", f"the database has the encoding {encoding}", f"{ENCODING_ADVICE}.")
                return
            reading = read_clock(lambda: _server_time(connection), clock)
            yield check_clock("postgres", reading, settings.limits.max_clock_skew)
            yield _check_durability(connection)
            yield _check_public_schema(connection)
            migrations = _check_migrations(connection, settings.schema)
            yield migrations
            if migrations.level != "problem":
                yield _check_erasure_key(connection, settings)
                delay = settings.erasure_delay
                yield from check_backlog(find_backlog(connection, erasure_delay=delay), erasure_delay=delay)
                yield from check_history_months(connection, settings.message_retention)
                yield _check_large_users(connection, settings.limits.max_user_bytes)
                yield from check_deliveries(connection, settings)
    except psycopg.Error as error:
        advice = "Check ROLLBOOK_DATABASE_URL, and that Postgres runs and accepts connections from here."
        if rejected_by_pooler(error):
            advice = "Connect to Postgres itself, or set up the pooler as docs/how-to/pgbouncer.md says."
        yield problem("postgres", f"not available: {safe_reason(error)}", advice)


def open_postgres(url: str, schema: str, *, uses_own_search_path: bool = False) -> psycopg.Connection:
    """Connect read-only and with short timeouts; for `uses_own_search_path` see `make_session`. What is asked must be
    within a `transaction`.
    """
    session = _session(url, schema, uses_own_search_path=uses_own_search_path)
    return open_session(session, timeout_connection(_ANSWER))


def _session(url: str, schema: str, *, uses_own_search_path: bool = False) -> Session:
    return make_session(
        url,
        application_name="rollbook doctor",
        schema=schema,
        statement_timeout=_ANSWER,
        connect_seconds=_CONNECT_SECONDS,
        is_read_only=True,
        uses_own_search_path=uses_own_search_path,
    )


def _check_pooler(connection: psycopg.Connection) -> Iterator[Finding]:
    if is_shared(connection):
        yield ok(
            "pooler",
            "it shares sessions; transactions bring their settings along, and `rollbook migrate` needs Postgres itself",
        )


def _server_time(connection: psycopg.Connection) -> float:
    row = connection.execute(_SQL["server_time"]).fetchone()
    assert row is not None
    return float(row[0])


def _check_durability(connection: psycopg.Connection) -> Finding:
    """Check that a confirmed commit is still there after a crash, and after a failover."""
    row = connection.execute(_SQL["durability"]).fetchone()
    assert row is not None
    level, replicas, is_synchronous = row
    summary = f"synchronous_commit is {level}"
    if level == "off":
        advice = "Take it out of the URL: after a crash of Postgres, jobs that were confirmed are lost."
        return warning("durability", summary, advice)
    if replicas and not is_synchronous:
        summary = f"{summary}, and {format_count(replicas, 'replica')} may be behind: a failover loses what it lacks"
        return warning("durability", summary, "Set synchronous_standby_names, or write through the outbox.")
    return ok("durability", summary)


def _check_public_schema(connection: psycopg.Connection) -> Finding:
    """Check that no other role may create operators for the sessions of people and tools."""
    creators = [name for (name,) in connection.execute(_SQL["creators_in_public"])]
    if not creators:
        return ok("schema public", "only its owner may create in it")
    summary = f"{', '.join(creators)} may create operators in it, which psql and other tools may then run"
    return warning("schema public", summary, "REVOKE CREATE ON SCHEMA public FROM them (from PUBLIC, for everyone).")


def _check_migrations(connection: psycopg.Connection, schema: str) -> Finding:
    try:
        with connection.transaction():
            row = connection.execute(_SQL["schema_revision"]).fetchone()
    except (errors.UndefinedTable, errors.InvalidSchemaName):
        row = None
    except errors.InsufficientPrivilege:
        return warning("migrations", "not permitted to read", f"Use a role that may read {schema}.alembic_version.")
    if row is None:
        return problem("migrations", f"there are no tables in the schema {schema}", "Run `rollbook migrate`.")
    found, newest = str(row[0]), newest_revision()
    if found == newest:
        return ok("migrations", f"up to date ({found})")
    if found < newest:
        return problem("migrations", f"at {found}; this version needs {newest}", "Run `rollbook migrate`.")
    return warning("migrations", f"at {found}; this version knows {newest}", "Upgrade Rollbook here, too.")


def _check_large_users(connection: psycopg.Connection, most: int) -> Finding:
    """Measure the users who were large when they were last written: they may have become smaller since."""
    with connection.cursor() as cursor:
        rows = cursor.execute(_SQL["largest_users"], {"limit": MEASURED_USERS}).fetchall()
        sizes = find_sizes(cursor, [id_ for (id_,) in rows]) if rows else []
    near = sorted((found for found in sizes if found.size > most * NEAR), key=lambda found: -found.size)
    if not near:
        return ok("large users", f"none near {format_size(most)}")
    largest = ", ".join(f"{alias(found.root)} {format_size(found.size)}" for found in near[:NAMED_USERS])
    summary = f"{format_count(len(near), 'user')} near or above {format_size(most)}: {largest}"
    return warning("large users", summary, "See `A user is too large` in the runbook.")


def _check_erasure_key(connection: psycopg.Connection, settings: Settings) -> Finding:
    """Check that all receipts are found with the keys of this process, and that its key is set."""
    name = "erasure key"
    try:
        with connection.transaction():
            is_known = knows_all_keys(connection, settings.erasure_keys)
    except errors.InsufficientPrivilege:
        return warning(name, "not permitted to read", f"Use a role that may read {settings.schema}.erasure_keys.")
    if not is_known:
        return problem(name, WRONG_KEY, WRONG_KEY_ADVICE)
    if settings.erasure_key == DEFAULT_KEY:
        return warning(name, DEFAULT_KEY_WARNING, DEFAULT_KEY_ADVICE)
    return ok(name, "all receipts are found with it")


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
    if backlog.overdue_recipients:
        age = format_duration(backlog.oldest_overdue_recipient or 0.0)
        summary = f"{format_count(backlog.overdue_recipients, 'recipient')} overdue, of triggers from {age} ago on"
        yield warning("unknown recipients", summary, _MAINTENANCE)
    else:
        yield ok("unknown recipients", "nothing overdue")
    if backlog.dead_letters:
        codes = ", ".join(f"{count.code} {count.count:,}" for count in backlog.dead_letters)
        total = format_count(sum(count.count for count in backlog.dead_letters), "dead letter")
        newest = format_duration(backlog.dead_letters[0].newest)
        advice = "`rollbook jobs dead` lists them; replay or drop them."
        yield warning("dead letters", f"{total} ({codes}), the newest from {newest} ago", advice)
    else:
        yield ok("dead letters", "none")
