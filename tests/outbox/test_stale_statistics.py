"""The relay finds rows by their index although Postgres takes the outbox for empty.

An outbox is empty most of the time, and so it is often analysed when it is. See `store/test_stale_statistics.py`.
"""

from __future__ import annotations

from datetime import timedelta

import psycopg
from psycopg.sql import Identifier
from tests.support.table_statistics import analyse_emptied, rows_read

from rollbook import Rollbook
from rollbook.outbox import TABLE
from rollbook_ops.relay.outbox_table import OutboxTable
from rollbook_shared.backoff import Backoff

JOBS = 1_000
BATCH = 20
MOST_READS = 2 * BATCH
"""Of one row, in all that is done here: as others of its batch may be looked at with it, but no more."""
AT_ONCE = timedelta(0)


def fill(rb: Rollbook, backend: psycopg.Connection) -> None:
    for number in range(JOBS):
        rb.outbox(backend).users.identify(f"u{number}", {"plan": "pro"})


def test_each_step_of_the_relay_looks_at_its_own_rows(rb: Rollbook, backend_url: str) -> None:
    table = OutboxTable(backend_url)
    with psycopg.connect(backend_url, autocommit=True) as backend:
        fill(rb, backend)
        analyse_emptied(backend, Identifier(TABLE))
        fill(rb, backend)

        for _ in range(JOBS // BATCH):
            with table.transaction() as outbox:
                keys = {*outbox.claim_unsent(limit=BATCH)}
                assert len(keys) == BATCH
                outbox.mark_unsendable(keys, Backoff(first=0.0, longest=0.0))
                outbox.mark_sent(keys, first_check=AT_ONCE)
        for _ in range(JOBS // BATCH):
            with table.transaction() as outbox:
                keys = {*outbox.claim_sent(limit=BATCH)}
                assert outbox.read_bodies(keys).keys() == keys
                assert outbox.reschedule(keys, first_check=AT_ONCE, resend=AT_ONCE) == BATCH
                outbox.keep(dict.fromkeys(keys), keep=AT_ONCE)
                outbox.send_again(keys)
                outbox.remove(keys)
        table.close()

        assert backend.execute(f"SELECT count(*) FROM {TABLE}".encode()).fetchone() == (0,)
        reads = rows_read(backend, "rollbook relay", Identifier(TABLE)) / JOBS
    assert reads <= MOST_READS
