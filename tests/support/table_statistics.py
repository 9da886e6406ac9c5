"""What Postgres believes of a table, and how many of its rows a session has read."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier
from tests.support.waits import wait_until


def analyse_emptied(connection: psycopg.Connection[Any], *tables: Identifier) -> None:
    """Empty the tables and analyse them. From then on Postgres takes them for empty, whatever comes into them, and
    counts the rows that are read.
    """
    for table in tables:
        connection.execute(SQL("DELETE FROM {}").format(table))
        connection.execute(SQL("ANALYZE {}").format(table))
        row = connection.execute(
            "SELECT relpages > 0 AND reltuples = 0 FROM pg_class WHERE oid = %s::regclass", [table.as_string()]
        ).fetchone()
        assert row == (True,), f"{table.as_string()} was never filled"
        connection.execute("SELECT pg_stat_reset_single_table_counters(%s::regclass)", [table.as_string()])


def rows_read(connection: psycopg.Connection[Any], application_name: str, table: Identifier) -> int:
    """How many rows of the table were read since `analyse_emptied`. The sessions of the application end first."""

    def have_ended() -> bool:
        running = "SELECT FROM pg_stat_activity WHERE application_name = %s AND datname = current_database()"
        return connection.execute(running, [application_name]).fetchone() is None

    wait_until(have_ended, what="the end of the sessions")
    row = connection.execute(
        "SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables WHERE relid = %s::regclass",
        [table.as_string()],
    ).fetchone()
    assert row is not None
    return int(row[0])
