"""The partitions of the history."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any, Final

import psycopg
from tests.support.builders import DAY

from rollbook_shared.database.schema import DEFAULT_SCHEMA
from rollbook_worker.store import PostgresStore

_PARTITION: Final = re.compile(r"_(first|\d{4}_\d{2})$")


def table_of(relation: str) -> str:
    """The table that a relation is, or is a partition of."""
    return _PARTITION.sub("", relation)


def make_months(url: str, first: int, last: int, *, schema: str = DEFAULT_SCHEMA) -> None:
    """Let partitions of the empty history begin with each month between these times, in microseconds since 1970, and
    some more.
    """
    store = PostgresStore(url, schema=schema, message_retention=timedelta(days=36_500))
    for now in range(first - 60 * DAY, last, 20 * DAY):
        store.history_months.make(now=now)
    store.close()


def months_of(connection: psycopg.Connection[tuple[Any, ...]], table: str) -> list[str]:
    """The names of the partitions of a table, the oldest first."""
    rows = connection.execute(
        'SELECT month FROM rollbook.history_months() WHERE of_table = %s ORDER BY valid_from COLLATE "C"', (table,)
    )
    return [name for (name,) in rows]
