"""What partitions of the history cost, and what they save: writes, reads, and the removal of a month.

    python -m benchmarks.message_retention [--messages 240000] [--rounds 5] [--reads 200] [--json]

Three databases of one durable Postgres have the same year of messages, of a thousand users, with a trigger and an
activity each; of every tenth message an engagement, and a delivery. `plain` has tables without partitions, as before
they were introduced, `one partition` what the migrations make, and `months` a partition for each month. Then workers'
transactions of 200 triggers, and reads, take turns. At last the oldest month is removed: from `plain` with one DELETE
for each table and a VACUUM, from `months` as maintenance does it. Times are processor time of the connection's server
process, which other load of the machine changes little.

Two figures are of tables that are not partitioned: what the removal of one finished job costs, and what a batch of
identifies costs that looks for deliveries which wait for one of its users, in one table and in a table by month.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import psutil
import psycopg
from benchmarks.read_scale import seconds_of
from benchmarks.store_contenders import Rollbook as Store
from rich.console import Console
from rich.table import Table

from rollbook import Rollbook
from rollbook_ops.devstack import Servers
from rollbook_shared.database.statements import load
from rollbook_shared.domain.stamps import new_job_id, stamp_floor
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Identify, Trigger, UserUpdate
from rollbook_worker.store import PostgresStore, ReceivedJob
from rollbook_worker.store.history_months import PARTITIONED, start_of_next_month

USERS: Final = 1_000
TRANSACTION_TRIGGERS: Final = 200
TRANSACTIONS: Final = 20
DAY: Final = 86_400_000_000
RETENTION: Final = timedelta(days=335)
VARIANTS: Final = ("plain", "one partition", "months")

_VIEWS: Final = """
SELECT format('CREATE VIEW rollbook.%I AS %s', relname, pg_get_viewdef(oid))
FROM pg_class
WHERE relnamespace = 'rollbook'::regnamespace AND relname IN ('owned_messages', 'owned_activities')
"""
_PLAIN: Final = """
ALTER TABLE rollbook.{table} DETACH PARTITION rollbook.{table}_first;
DROP TABLE rollbook.{table} CASCADE;
ALTER TABLE rollbook.{table}_first RENAME TO {table};
"""
_SEED: Final = """
CREATE TEMPORARY TABLE seeded AS
SELECT
    'job-' || n AS job_id,
    lpad(to_hex(%(first)s + n * (%(last)s - %(first)s) / %(messages)s), 14, '0') || 'job-' || n || '!0002' AS stamp,
    'u' || n %% %(users)s AS recipient,
    gen_random_uuid() AS id,
    n
FROM generate_series(1, %(messages)s::bigint) AS n;
INSERT INTO rollbook.triggers (job_id, stamp, workflow, had_actor, actor, categories, data)
SELECT job_id, stamp, 'hello', true, 'u1', '{}', '{"text": "a text of the usual length"}' FROM seeded;
INSERT INTO rollbook.activities (id, job_id, stamp, recipient)
SELECT gen_random_uuid(), job_id, stamp, recipient FROM seeded;
INSERT INTO rollbook.messages (id, job_id, stamp, recipient, channel)
SELECT id, job_id, stamp, recipient, 'in_app' FROM seeded;
INSERT INTO rollbook.engagements (message_id, engagement, stamp, is_set)
SELECT id, 'read', stamp, true FROM seeded WHERE n %% 10 = 0;
INSERT INTO rollbook.deliveries
    (message_id, channel, workflow, priority, state, attempts, claims, expires_at, created_at, changed_at)
SELECT id, 'mail', 'hello', 1, 'sent', 1, 1, now(), now(), now() FROM seeded WHERE n %% 10 = 0;
DROP TABLE seeded;
"""

_DELIVERIES_BY_MONTH: Final = """
CREATE TABLE rollbook.by_month (LIKE rollbook.deliveries INCLUDING DEFAULTS) PARTITION BY RANGE (created_at);
CREATE INDEX ON rollbook.by_month (waits_for, expires_at) WHERE waits_for IS NOT NULL;
DO $$
BEGIN
    FOR month IN 0..13 LOOP
        EXECUTE format(
            'CREATE TABLE rollbook.by_month_%s PARTITION OF rollbook.by_month FOR VALUES FROM (%L) TO (%L)',
            month, date '2026-01-01' + month * interval '1 month', date '2026-01-01' + (month + 1) * interval '1 month'
        );
    END LOOP;
END
$$;
"""

Figures = dict[str, dict[str, float]]
"""By what was measured, by variant."""


class Variant:
    """One of the databases."""

    def __init__(self, servers: Servers, name: str, now: int) -> None:
        self.name = name
        self.contender = Store(servers.database_url, 1, name.replace(" ", "_"))
        self.connection = psycopg.connect(self.contender.url, autocommit=True)
        self.months = PostgresStore(self.contender.url, message_retention=RETENTION)
        self.reader = Rollbook(database_url=self.contender.url)
        if name == "plain":
            self._make_plain()
        if name == "months":
            for at in range(now - 460 * DAY, now, 20 * DAY):
                self.months.history_months.make(now=at)

    def seed(self, first: int, last: int, messages: int) -> None:
        users = [
            Identify(
                id=new_job_id(first), occurred_at=first - DAY, user=UserUpdate(id=f"u{number}", traits={"n": number})
            )
            for number in range(USERS)
        ]
        self.contender.store.apply([ReceivedJob.of(encode(job)) for job in users], now=last)
        values = {"first": first, "last": last, "messages": messages, "users": USERS}
        with psycopg.ClientCursor(self.connection) as cursor:
            cursor.execute(_SEED.encode(), values)
        self.connection.execute("VACUUM (FREEZE, ANALYZE)")

    def size(self) -> float:
        """Bytes of the history, with its indexes."""
        row = self.connection.execute(
            "SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relnamespace = 'rollbook'::regnamespace"
            " AND relkind = 'r' AND split_part(relname, '_', 1) = ANY(%s)",
            (list(PARTITIONED),),
        ).fetchone()
        return float(row[0]) if row else 0.0

    def close(self) -> None:
        self.reader.close()
        self.months.close()
        self.connection.close()
        self.contender.close()

    def _make_plain(self) -> None:
        views = [view for (view,) in self.connection.execute(_VIEWS)]
        for table in PARTITIONED:
            self.connection.execute(_PLAIN.format(table=table).encode())
        for view in views:
            self.connection.execute(view.encode())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.message_retention", description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=240_000, help="messages of the year (240,000)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of writes (5)")
    parser.add_argument("--reads", type=int, default=200, help="reads of each kind (200)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    given = parser.parse_args()
    now = time.time_ns() // 1_000
    first = start_of_next_month(now - 395 * DAY)
    with Servers(durable=True) as servers:
        variants = [Variant(servers, name, now) for name in VARIANTS]
        for variant in variants:
            variant.seed(first, now - DAY, given.messages)
        found: Figures = {"bytes of a message with its trigger and activity": {}}
        for variant in variants:
            found["bytes of a message with its trigger and activity"][variant.name] = variant.size() / given.messages
        found |= _writes(variants, given.rounds) | _reads(variants, given.reads) | _removals(variants, first)
        found |= _of_jobs(variants[0]) | _of_deliveries(variants[0], given.reads)
        for variant in variants:
            variant.close()
    if given.json:
        print(json.dumps(found))
    else:
        _show(found)


def _writes(variants: list[Variant], rounds: int) -> Figures:
    """Microseconds of the server process for a trigger with one recipient."""
    took: dict[str, list[float]] = {variant.name: [] for variant in variants}
    for number in range(rounds + 1):
        for variant in random.sample(variants, len(variants)):
            store = variant.contender.store
            pid = _pid_of(store)
            before = seconds_of(pid)
            for _ in range(TRANSACTIONS):
                at = time.time_ns() // 1_000
                jobs = [_trigger(at + one) for one in range(TRANSACTION_TRIGGERS)]
                store.apply([ReceivedJob.of(encode(job)) for job in jobs], now=at)
            if number:
                took[variant.name].append((seconds_of(pid) - before) / (TRANSACTIONS * TRANSACTION_TRIGGERS) * 1e6)
    return {"us a trigger written": {name: statistics.median(times) for name, times in took.items()}}


def _reads(variants: list[Variant], times: int) -> Figures:
    """Microseconds of the server process for a read."""
    ids = {
        variant.name: [id_ for (id_,) in variant.connection.execute("SELECT id FROM rollbook.messages LIMIT 100")]
        for variant in variants
    }
    reads: Mapping[str, Callable[[Variant], object]] = {
        "us feeds.list": lambda variant: variant.reader.feeds.list(f"u{random.randrange(USERS)}"),
        "us messages.list": lambda variant: variant.reader.messages.list(f"u{random.randrange(USERS)}", limit=30),
        "us activities.list": lambda variant: variant.reader.activities.list(f"u{random.randrange(USERS)}"),
        "us messages.get": lambda variant: variant.reader.messages.get(UUID(str(random.choice(ids[variant.name])))),
    }
    used: dict[str, dict[str, list[float]]] = {read: {variant.name: [] for variant in variants} for read in reads}
    servers = {}
    for variant in variants:
        variant.reader.users.get("u1")
        row = variant.connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'rollbook' AND datname = current_database()"
        ).fetchone()
        servers[variant.name] = psutil.Process(row[0] if row else 0)
    for number in range(times + 10):
        for variant in random.sample(variants, len(variants)):
            for name, read in reads.items():
                before = seconds_of(servers[variant.name])
                read(variant)
                if number >= 10:
                    used[name][variant.name].append((seconds_of(servers[variant.name]) - before) * 1e6)
    return {
        name: {variant: statistics.median(values) for variant, values in by_variant.items()}
        for name, by_variant in used.items()
    }


def _removals(variants: list[Variant], first: int) -> Figures:
    """Seconds for the oldest month, bytes of WAL, and by how much the files shrank."""
    plain, _, months = variants
    end = start_of_next_month(first)
    oldest = stamp_floor(end)
    seconds: dict[str, float] = {}
    logged: dict[str, float] = {}
    freed: dict[str, float] = {}

    def measured(variant: Variant, server: psutil.Process, work: Callable[[], object]) -> None:
        size, log, begin = variant.size(), _wal(variant.connection), seconds_of(server)
        work()
        seconds[variant.name] = seconds_of(server) - begin
        logged[variant.name] = _wal(variant.connection) - log
        freed[variant.name] = size - variant.size()

    def delete() -> None:
        for table in ("engagements", "deliveries"):
            plain.connection.execute(
                f"DELETE FROM rollbook.{table} WHERE message_id IN"
                " (SELECT id FROM rollbook.messages WHERE stamp < %s)".encode(),
                (oldest,),
            )
        for table in PARTITIONED:
            plain.connection.execute(f"DELETE FROM rollbook.{table} WHERE stamp < %s".encode(), (oldest,))
        plain.connection.execute(f"VACUUM {', '.join(f'rollbook.{table}' for table in PARTITIONED)}".encode())

    measured(plain, psutil.Process(plain.connection.info.backend_pid), delete)
    store = months.months
    pids = [store._transactions._connections.get().info.backend_pid, store._steps._connections.get().info.backend_pid]
    before = sum(seconds_of(psutil.Process(pid)) for pid in pids)
    measured(months, psutil.Process(pids[0]), lambda: store.history_months.drop(now=end + 336 * DAY))
    seconds[months.name] = sum(seconds_of(psutil.Process(pid)) for pid in pids) - before
    return {"s to remove a month": seconds, "WAL bytes of it": logged, "bytes by which the files shrink": freed}


def _of_jobs(variant: Variant) -> Figures:
    """Microseconds of the server process to remove a finished job."""
    store = variant.contender.store
    pid, later, removed = _pid_of(store), time.time_ns() // 1_000 + 30 * DAY, 0
    before = seconds_of(pid)
    while pruned := store.cleanup.prune_jobs(now=later):
        removed += pruned
    return {"us a finished job removed": {variant.name: (seconds_of(pid) - before) / removed * 1e6}}


def _of_deliveries(variant: Variant, times: int) -> Figures:
    """Microseconds of the server process to look for deliveries that wait for one of 200 users."""
    variant.connection.execute(_DELIVERIES_BY_MONTH.encode())
    find = load("rollbook_worker.store", "deliveries")["find_waiting"]
    statements = {"plain": find, "months": find.replace("rollbook.deliveries", "rollbook.by_month")}
    values = {"ids": json.dumps([f"u{number}" for number in range(200)]), "now": time.time_ns() // 1_000}
    server = psutil.Process(variant.connection.info.backend_pid)
    used: dict[str, list[float]] = {name: [] for name in statements}
    for number in range(times + 10):
        for name, statement in statements.items():
            before = seconds_of(server)
            variant.connection.execute(statement.encode(), values, prepare=True)
            if number >= 10:
                used[name].append((seconds_of(server) - before) * 1e6)
    return {"us a look for waiting deliveries": {name: statistics.median(each) for name, each in used.items()}}


def _trigger(at: int) -> Trigger:
    recipient = f"u{random.randrange(USERS)}"
    data = {"text": "a text of the usual length"}
    return Trigger(id=new_job_id(at), occurred_at=at, workflow="hello", recipients=(recipient,), actor="u1", data=data)


def _pid_of(store: PostgresStore) -> psutil.Process:
    """The server process of this thread's connection."""
    return psutil.Process(store._transactions._connections.get().info.backend_pid)


def _wal(connection: psycopg.Connection[Any]) -> float:
    row = connection.execute("SELECT (pg_current_wal_insert_lsn() - '0/0')::float").fetchone()
    return float(row[0]) if row else 0.0


def _show(found: Figures) -> None:
    table = Table("", *VARIANTS)
    for name, values in found.items():
        table.add_row(name, *(f"{values[one]:,.2f}" if one in values else "" for one in VARIANTS))
    Console().print(table)


if __name__ == "__main__":
    main()
