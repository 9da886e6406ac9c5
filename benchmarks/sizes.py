"""How much room a user, a job and a message take in Postgres and in Redis, and what that comes to for a product.

    python -m benchmarks.sizes [--rows 50000] [--people 10000000] [--messages-a-person 50] [--jobs-a-second 100]
        [--outcome-days 7] [--waiting-minutes 60] [--json]

The rows are written by the store, as a worker does: users with ten traits (about 300 bytes) and ids of 36 characters,
triggers for one of them. Bytes are those of files, tables and indexes apart; of Redis, its memory. The second table
multiplies them for a product of so many people.
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
from benchmarks import store_sides
from benchmarks.store_workloads import Batch, jobs_of, traits_of
from rich.console import Console
from rich.table import Table

from rollbook import Rollbook
from rollbook_ops.devstack import Servers
from rollbook_shared.domain.deterministic_ids import message_id
from rollbook_shared.domain.stamps import new_job_id
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Mark, Trigger

TOGETHER: Final = 200
"""Jobs in one transaction."""
BULK_QUEUE: Final = 100
"""Users in a bulk job."""
PORTIONS: Final = 5
"""In which users are told again, with a vacuum after each: Postgres' own comes when a fifth of a table has changed."""
_CHANNEL: Final = "in_app"
_GIB: Final = 2**30


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes of one thing."""

    table: float
    indexes: float = 0.0

    def __mul__(self, number: float) -> Room:
        return Room(self.table * number, self.indexes * number)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sizes", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=50_000, help="users, jobs and messages to measure with (50,000)")
    parser.add_argument("--people", type=int, default=10_000_000, help="users of the product (10,000,000)")
    parser.add_argument("--messages-a-person", type=int, default=50, help="messages of each, one a trigger (50)")
    parser.add_argument("--jobs-a-second", type=int, default=100, help="jobs a second, on average over a day (100)")
    parser.add_argument("--outcome-days", type=float, default=7, help="ROLLBOOK_JOB_RETENTION_DAYS (7)")
    parser.add_argument("--waiting-minutes", type=float, default=60, help="for how long Postgres may be away (60)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    given = parser.parse_args()
    with Servers(durable=True) as servers:
        found = {**_in_postgres(servers.database_url, given.rows), **_in_redis(servers.broker_url, given.rows)}
    needed = needs(
        found,
        people=given.people,
        messages_a_person=given.messages_a_person,
        jobs_a_second=given.jobs_a_second,
        outcome_days=given.outcome_days,
        waiting_minutes=given.waiting_minutes,
    )
    if given.json:
        both = {"bytes": found, "needs": needed}
        print(json.dumps({name: {what: asdict(room) for what, room in those.items()} for name, those in both.items()}))
    else:
        _show("bytes of", found, 1, "{:,.0f}")
        _show("GiB of", needed, _GIB, "{:,.1f}")


def needs(
    found: dict[str, Room],
    *,
    people: int,
    messages_a_person: int,
    jobs_a_second: float,
    outcome_days: float,
    waiting_minutes: float,
) -> dict[str, Room]:
    """Bytes of all that a product has, from the bytes of one of each."""
    return {
        f"{people:,} users": found["a user, told twice"] * people,
        f"{messages_a_person} messages of each": found["a message"] * (people * messages_a_person),
        f"outcomes of {outcome_days:g} days": found["a job's outcome"] * (jobs_a_second * 86_400 * outcome_days),
        f"Redis: {waiting_minutes:g} minutes of jobs": found["Redis: a waiting job"]
        * (jobs_a_second * 60 * waiting_minutes),
    }


def _in_postgres(server_url: str, rows: int) -> dict[str, Room]:
    side = store_sides.Rollbook(server_url, 1, "sizes")
    ids = [str(uuid4()) for _ in range(rows)]
    with psycopg.connect(side.url, autocommit=True) as connection:

        def grown(messages: Iterable[str], *tables: str) -> Room:
            """By how much the tables grow a message, when these are applied."""
            before, told = _room(connection, tables), list(messages)
            side.run(_batched(told))
            connection.execute("VACUUM ANALYZE")
            after = _room(connection, tables)
            return Room((after.table - before.table) / len(told), (after.indexes - before.indexes) / len(told))

        once = grown(_telling(ids, 0), "users")
        outcome = _room(connection, ["jobs"]) * (1 / rows)
        for start in range(PORTIONS):
            grown(_telling(ids[start::PORTIONS], 1, ("name", "plan", "seats")), "users")
        triggers = [_trigger(id_) for id_ in ids]
        found = {
            "a user, told once": once,
            "a user, told twice": _room(connection, ["users"]) * (1 / rows),
            "a job's outcome": outcome,
            "a message": grown(map(encode, triggers), "messages", "activities", "triggers"),
            "a mark of a message": grown(map(_mark, triggers), "marks"),
        }
    side.close()
    return found


def _telling(ids: Sequence[str], version: int, keys: Sequence[str] = ()) -> Iterable[str]:
    """All their keys, or some, in a version of their values."""
    people = ((id_, traits_of(number, version)) for number, id_ in enumerate(ids))
    rows = [(id_, {key: traits[key] for key in keys or traits}) for id_, traits in people]
    return map(encode, jobs_of(rows, 1, time.time_ns() // 1_000))


def _trigger(recipient: str) -> Trigger:
    at = time.time_ns() // 1_000
    data = {"order": "A-1017", "items": 2, "url": "https://shop.example.com/orders/A-1017"}
    return Trigger(id=new_job_id(at), occurred_at=at, workflow="order-shipped", recipients=(recipient,), data=data)


def _mark(trigger: Trigger) -> str:
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
    return [Batch(messages[start : start + TOGETHER], []) for start in range(0, len(messages), TOGETHER)]


def _room(connection: psycopg.Connection, tables: Iterable[str]) -> Room:
    found = connection.execute(
        "SELECT sum(pg_table_size(oid)), sum(pg_indexes_size(oid)) FROM pg_class"
        " WHERE relnamespace = 'rollbook'::regnamespace AND relname = ANY(%s)",
        [list(tables)],
    ).fetchone() or (0, 0)
    return Room(*map(float, found))


def _in_redis(broker_url: str, rows: int) -> dict[str, Room]:
    with redis.Redis.from_url(broker_url) as client, Rollbook(broker_url=broker_url) as rb:

        def grown(send: Callable[[], object], number: int) -> Room:
            before = client.info("memory")["used_memory"]
            send()
            return Room((client.info("memory")["used_memory"] - before) / number)

        people = [{"id": str(uuid4()), **traits_of(number, 0)} for number in range(rows)]

        def send_each() -> None:
            for person in people:
                rb.users.identify(person["id"], {key: value for key, value in person.items() if key != "id"})

        def send_together() -> None:
            for start in range(0, rows, BULK_QUEUE):
                rb.users.bulk_identify(people[start : start + BULK_QUEUE])

        rb.users.identify("first", {})  # connects
        return {
            "Redis: a waiting job": grown(send_each, rows),
            f"Redis: a user in a job of {BULK_QUEUE}": grown(send_together, rows),
        }


def _show(title: str, found: dict[str, Room], unit: float, shape: str) -> None:
    table = Table(title)
    for heading in ("table", "indexes", "both"):
        table.add_column(heading, justify="right")
    for name, room in found.items():
        bytes_ = (room.table, room.indexes, room.table + room.indexes)
        table.add_row(name, *(shape.format(each / unit) if each else "" for each in bytes_))
    Console().print(table)


if __name__ == "__main__":
    main()
