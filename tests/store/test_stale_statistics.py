"""Rows are found by their index although Postgres takes the table for empty.

It does so when the table was empty as it was analysed, until it is analysed again. It then joins the table as if each
look at all of it cost nothing: a thousand deferred jobs took a minute, and were found blocked.
"""

from __future__ import annotations

import psycopg
from psycopg.sql import Identifier
from tests.support.builders import day, identify, trigger
from tests.support.table_statistics import analyse_emptied, rows_read

from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Job
from rollbook_worker.store import PostgresStore, ReceivedJob
from rollbook_worker.store.transactions import APPLICATION_NAME

JOBS = 200
BATCH = 20
MOST_READS = 4 * BATCH
"""Of the row of one job, in all that is done here: as others of its batch may be looked at with it, but no more."""
TABLES = (Identifier("rollbook", "jobs"), Identifier("rollbook", "deferred_jobs"))


def apply(store: PostgresStore, jobs: list[Job], now: int) -> None:
    for start in range(0, len(jobs), BATCH):
        store.apply([ReceivedJob.of(encode(job)) for job in jobs[start : start + BATCH]], now=now)


def test_jobs_are_released_counted_and_noted_by_their_ids(fresh_database_url: str) -> None:
    jobs: list[Job] = [
        identify("a", at=1, job=f"j{n}") if n % 2 else trigger("w", ["nobody"], at=1, job=f"j{n}") for n in range(JOBS)
    ]
    later = [job.model_copy(update={"deferred": True}) for job in jobs]
    store = PostgresStore(fresh_database_url)
    with psycopg.connect(fresh_database_url, autocommit=True) as connection:
        apply(store, later, day(0))
        analyse_emptied(connection, *TABLES)
        apply(store, later, day(0))

        apply(store, later, day(0))
        while store.dispatcher.release_due(now=day(2), limit=BATCH):
            pass
        store.close()

        states = "SELECT count(*) FILTER (WHERE detail ? 'skipped'), sum(duplicates), min(state), max(state)"
        assert connection.execute(f"{states} FROM rollbook.jobs".encode()).fetchone() == (
            JOBS / 2,
            JOBS,
            "applied",
            "applied",
        )
        reads = {table.as_string(): rows_read(connection, APPLICATION_NAME, table) / JOBS for table in TABLES}
    assert max(reads.values()) <= MOST_READS, reads
