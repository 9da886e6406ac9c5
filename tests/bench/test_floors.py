"""The floor of triggers and merges writes the very rows that workers leave."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from benchmarks.bench.baselines import written_rows
from tests.support.builders import NOW, identify, merge, trigger
from tests.support.databases import LendDatabase

from rollbook_shared import jobs
from rollbook_worker.store import PostgresStore, ReceivedJob


def apply(store: PostgresStore, sent: Sequence[jobs.Job]) -> None:
    store.apply([ReceivedJob.of(jobs.encode(job)) for job in sent], now=NOW)


def contents(connection: psycopg.Connection[Any]) -> dict[str, list[bytes]]:
    return {table: sorted(rows) for table, rows in written_rows.rows_since(connection, 0).items()}


def test_the_floor_leaves_what_the_worker_has_left(new_database: LendDatabase) -> None:
    url, floor_url = new_database(), new_database()
    store = PostgresStore(url)
    with (
        psycopg.connect(url, autocommit=True) as connection,
        psycopg.connect(floor_url, autocommit=True) as floor,
    ):
        started = written_rows.mark(connection)
        apply(store, [identify(id_, at=1, plan="pro\n\t\\") for id_ in ("ann", "bo", "guest_1", "guest_2")])
        users = written_rows.rows_since(connection, started)
        written_rows.write(floor, users, transactions=1)
        apply(store, [trigger("before", ("ann", "bo"), at=1, plus=1)])
        written_rows.write(floor, written_rows.rows_since(connection, started), transactions=1)
        released = written_rows.mark(connection)
        apply(store, [merge("ann", "guest_1", at=2), merge("bo", "guest_2", at=2)])
        apply(store, [trigger("hello", ("ann", "bo"), at=3, channels=("in_app", "email"))])

        left = written_rows.rows_since(connection, released)
        seconds = written_rows.write(floor, left, transactions=2)

        assert seconds > 0
        assert len(users["users"]) == len(left["users"]) == 4
        assert len(left["messages"]) == 4
        assert contents(floor) == contents(connection)
    store.close()
