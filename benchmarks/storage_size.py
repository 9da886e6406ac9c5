"""The storage that a user, a job and a message take in Postgres and in Redis, and the total for a product.

    python -m benchmarks.storage_size [--rows 50000] [--users 10000000] [--messages-per-user 50] [--jobs-per-second 100]
        [--retention-days 7] [--outage-minutes 60] [--json]

The store writes the rows as in a worker: users with ten traits (about 300 bytes) and ids of 36 characters, and triggers
with one recipient. The sizes are those of files, for tables and indexes; for Redis, its memory. The second table
multiplies them for a product of this size.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Final
from uuid import uuid4

import psycopg
import redis
from benchmarks import store_contenders
from benchmarks.store_workloads import Batch, jobs_of, traits_of
from rich.console import Console
from rich.table import Table

from rollbook import Rollbook
from rollbook_ops.devstack import Servers
from rollbook_shared.domain.deterministic_ids import message_id
from rollbook_shared.domain.stamps import new_job_id
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Mark, Trigger

TRANSACTION_JOBS: Final = 200
"""Jobs in one transaction."""
BULK_USERS: Final = 100
"""Users in a bulk job."""
PARTS: Final = 5
"""Users are updated in parts, with a vacuum after each: autovacuum runs when a fifth of a table has changed."""
_CHANNEL: Final = "in_app"
_GIB: Final = 2**30


@dataclass(frozen=True, slots=True)
class Size:
    """Bytes of table and indexes."""

    table: float
    indexes: float = 0.0

    def __mul__(self, number: float) -> Size:
        return Size(self.table * number, self.indexes * number)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.storage_size", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=50_000, help="users, jobs and messages to measure with (50,000)")
    parser.add_argument("--users", type=int, default=10_000_000, help="users of the product (10,000,000)")
    parser.add_argument("--messages-per-user", type=int, default=50, help="messages of each user, one per trigger (50)")
    parser.add_argument("--jobs-per-second", type=int, default=100, help="jobs per second, on average over a day (100)")
    parser.add_argument("--retention-days", type=float, default=7, help="ROLLBOOK_JOB_RETENTION_DAYS (7)")
    parser.add_argument("--outage-minutes", type=float, default=60, help="how long Postgres may be unavailable (60)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    given = parser.parse_args()
    with Servers(durable=True) as servers:
        found = {**_in_postgres(servers.database_url, given.rows), **_in_redis(servers.broker_url, given.rows)}
    totals = total_sizes(
        found,
        users=given.users,
        messages_per_user=given.messages_per_user,
        jobs_per_second=given.jobs_per_second,
        retention_days=given.retention_days,
        outage_minutes=given.outage_minutes,
    )
    if given.json:
        both = {"bytes": found, "needs": totals}
        print(json.dumps({name: {what: asdict(size) for what, size in sizes.items()} for name, sizes in both.items()}))
    else:
        _show("bytes of", found, 1, "{:,.0f}")
        _show("GiB of", totals, _GIB, "{:,.1f}")


def total_sizes(
    found: dict[str, Size],
    *,
    users: int,
    messages_per_user: int,
    jobs_per_second: float,
    retention_days: float,
    outage_minutes: float,
) -> dict[str, Size]:
    """The total sizes of a product, from the size of one user, job and message."""
    return {
        f"{users:,} users": found["a user, identified again"] * users,
        f"{messages_per_user} messages of each": found["a message"] * (users * messages_per_user),
        f"finished jobs of {retention_days:g} days": found["a finished job"]
        * (jobs_per_second * 86_400 * retention_days),
        f"Redis: {outage_minutes:g} minutes of jobs": found["Redis: a waiting job"]
        * (jobs_per_second * 60 * outage_minutes),
    }


def _in_postgres(server_url: str, rows: int) -> dict[str, Size]:
    contender = store_contenders.Rollbook(server_url, 1, "sizes")
    ids = [str(uuid4()) for _ in range(rows)]
    with psycopg.connect(contender.url, autocommit=True) as connection:

        def growth(messages: Iterable[str], *tables: str) -> Size:
            """How much the tables grow per message when these are applied."""
            before, sent = _size_of(connection, tables), list(messages)
            contender.run(_batched(sent))
            connection.execute("VACUUM ANALYZE")
            after = _size_of(connection, tables)
            return Size((after.table - before.table) / len(sent), (after.indexes - before.indexes) / len(sent))

        once = growth(_updates(ids, 0), "users")
        outcome = _size_of(connection, ["jobs"]) * (1 / rows)
        for start in range(PARTS):
            growth(_updates(ids[start::PARTS], 1, ("name", "plan", "seats")), "users")
        triggers = [_trigger(id_) for id_ in ids]
        found = {
            "a user, identified once": once,
            "a user, identified again": _size_of(connection, ["users"]) * (1 / rows),
            "a finished job": outcome,
            "a message": growth(map(encode, triggers), "messages", "activities", "triggers"),
            "an engagement of a message": growth(map(_engagement, triggers), "engagements"),
        }
    contender.close()
    return found


def _updates(ids: Sequence[str], version: int, keys: Sequence[str] = ()) -> Iterable[str]:
    """Updates of all or some keys, with a version of the values."""
    users = ((id_, traits_of(number, version)) for number, id_ in enumerate(ids))
    rows = [(id_, {key: traits[key] for key in keys or traits}) for id_, traits in users]
    return map(encode, jobs_of(rows, 1, time.time_ns() // 1_000))


def _trigger(recipient: str) -> Trigger:
    at = time.time_ns() // 1_000
    data = {"order": "A-1017", "items": 2, "url": "https://shop.example.com/orders/A-1017"}
    return Trigger(id=new_job_id(at), occurred_at=at, workflow="order-shipped", recipients=(recipient,), data=data)


def _engagement(trigger: Trigger) -> str:
    at = time.time_ns() // 1_000
    (recipient,) = trigger.recipients
    return encode(
        Mark(
            id=new_job_id(at),
            occurred_at=at,
            message_ids=(message_id(trigger.id, str(recipient), _CHANNEL),),
            engagement="read",
        )
    )


def _batched(messages: list[str]) -> list[Batch]:
    return [
        Batch(messages[start : start + TRANSACTION_JOBS], []) for start in range(0, len(messages), TRANSACTION_JOBS)
    ]


def _size_of(connection: psycopg.Connection, tables: Iterable[str]) -> Size:
    found = connection.execute(
        "SELECT sum(pg_table_size(oid)), sum(pg_indexes_size(oid)) FROM pg_class"
        " WHERE oid = ANY(%(tables)s::regclass[])"
        " OR oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = ANY(%(tables)s::regclass[]))",
        {"tables": [f"rollbook.{table}" for table in tables]},
    ).fetchone() or (0, 0)
    return Size(*map(float, found))


def _in_redis(broker_url: str, rows: int) -> dict[str, Size]:
    with redis.Redis.from_url(broker_url) as client, Rollbook(broker_url=broker_url) as rb:

        def growth(send: Callable[[], object], number: int) -> Size:
            before = client.info("memory")["used_memory"]
            send()
            return Size((client.info("memory")["used_memory"] - before) / number)

        users = [{"id": str(uuid4()), **traits_of(number, 0)} for number in range(rows)]

        def send_each() -> None:
            for user in users:
                rb.users.identify(user["id"], {key: value for key, value in user.items() if key != "id"})

        def send_together() -> None:
            for start in range(0, rows, BULK_USERS):
                rb.users.bulk_identify(users[start : start + BULK_USERS])

        rb.users.identify("first", {})  # connects
        return {
            "Redis: a waiting job": growth(send_each, rows),
            f"Redis: a user in a job of {BULK_USERS}": growth(send_together, rows),
        }


def _show(title: str, found: dict[str, Size], unit: float, shape: str) -> None:
    table = Table(title)
    for heading in ("table", "indexes", "both"):
        table.add_column(heading, justify="right")
    for name, size in found.items():
        bytes_ = (size.table, size.indexes, size.table + size.indexes)
        table.add_row(name, *(shape.format(each / unit) if each else "" for each in bytes_))
    Console().print(table)


if __name__ == "__main__":
    main()
