"""Seeds databases with many valid rows: rows that a worker wrote are copied by SQL.

The statements name no column that they do not change, so that they survive changes of the schema.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import psycopg

from rollbook import Rollbook

DAYS: Final = 20
"""How far back a history reaches: less than the 30 days that a merge transfers."""

_STORED_COLUMNS: Final = """
SELECT string_agg(quote_ident(column_name), ', ' ORDER BY ordinal_position)
FROM information_schema.columns
WHERE table_schema = 'rollbook' AND table_name = 'users' AND is_generated = 'NEVER'
"""
_COPY_USER: Final = """
INSERT INTO rollbook.users ({columns})
SELECT {columns}
FROM (
    SELECT copy.*
    FROM rollbook.users AS original
    CROSS JOIN generate_series(%(first)s::integer, %(count)s::integer - 1) AS number
    CROSS JOIN LATERAL jsonb_populate_record(
        original,
        jsonb_build_object(
            'id', left(original.id, -8) || lpad(number::text, 8, '0'),
            'profile', original.profile || jsonb_build_object(
                'a.email', replace(original.profile ->> 'a.email', '.0@', '.' || number || '@'),
                'a.name', replace(original.profile ->> 'a.name', '0th', number || 'th')
            )
        )
    ) AS copy
    WHERE original.id = %(id)s
) AS copies
"""
# A stamp is its time in 14 hexadecimal digits, the job's id, which also begins with the time, and an ordinal.
_COPY_ROW: Final = """
INSERT INTO rollbook.{table}
SELECT copy.*
FROM rollbook.{table} AS original
CROSS JOIN generate_series(1, %(count)s - 1) AS number
CROSS JOIN LATERAL (
    SELECT lpad(
        to_hex(('x' || lpad(left(original.stamp, 14), 16, '0'))::bit(64)::bigint - number * %(step)s::bigint), 14, '0'
    ) AS digits
) AS time
CROSS JOIN LATERAL (
    SELECT digits || left(md5(%(job)s || number), 18) AS job_id
) AS job
CROSS JOIN LATERAL jsonb_populate_record(
    original,
    jsonb_build_object('job_id', job.job_id, 'stamp', digits || job.job_id || right(original.stamp, 5)) || {more}
) AS copy
WHERE original.job_id = %(job)s
"""
_NEW_ID: Final = "jsonb_build_object('id', gen_random_uuid())"
_APPLIED_WITHIN: Final = 60.0
"""Seconds."""
_TABLES: Final = {"triggers": "'{}'::jsonb", "activities": _NEW_ID, "messages": _NEW_ID}


def write_feed(rb: Rollbook, connection: psycopg.Connection[Any], user_id: str, count: int) -> None:
    """Make a user with a feed of so many messages. Workers must be running."""
    # before all the messages: what is older than a user is not in its feed
    rb.users.identify(user_id, {}, occurred_at=datetime.now(UTC) - timedelta(days=2 * DAYS))
    trigger = rb.workflows.trigger("bench", [{"id": user_id}], data={"text": "a text of the usual length"})
    trigger.wait(timeout=_APPLIED_WITHIN)
    copy_trigger(connection, trigger.id, count)
    vacuum(connection)


def read_feed(rb: Rollbook, user_id: str, count: int) -> None:
    """Read the first page of a feed.

    Raises:
        RuntimeError: it does not have so many messages.
    """
    if (found := len(rb.feeds.list(user_id, limit=count).items)) != count:
        raise RuntimeError(f"the feed has {found} messages on its first page, not {count}")


def copy_user(connection: psycopg.Connection[Any], user_id: str, count: int, *, first: int = 1) -> None:
    """Copy a user to the ids that end in 00000001 (or the number `first`) and so on, until there are `count` users. The
    number is in the e-mail address and the name too, as in the traits of `users`.
    """
    ((columns,),) = connection.execute(_STORED_COLUMNS)
    parameters = {"id": user_id, "count": count, "first": first}
    connection.execute(_COPY_USER.format(columns=columns).encode(), parameters)
    connection.execute("VACUUM ANALYZE rollbook.users")


def copy_trigger(connection: psycopg.Connection[Any], job_id: str, count: int) -> None:
    """Copy the rows of a trigger, as a job each, into the days before it, until there are `count` triggers."""
    step = DAYS * 86_400_000_000 // count
    for table, more in _TABLES.items():
        statement = _COPY_ROW.format(table=table, more=more)
        connection.execute(statement.encode(), {"job": job_id, "count": count, "step": step})


def vacuum(connection: psycopg.Connection[Any]) -> None:
    """Do what autovacuum would do a minute later."""
    for table in _TABLES:
        connection.execute(f"VACUUM ANALYZE rollbook.{table}".encode())
