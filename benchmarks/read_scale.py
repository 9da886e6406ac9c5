"""Reads of one user beside few and beside many other users, and a feed of few and of many messages.

    python -m benchmarks.read_scale [--users 0,10000,100000,1000000] [--messages 30,10000,1000000] [--reads 50] [--json]

Ann has 30 messages by other users and has triggered 30 herself. Each other user has a message and an activity of one
large trigger; they are rows that a worker wrote, copied by SQL. Then Ann gets more messages. The output has
milliseconds: the medians of reads in turns, each with the processor time of the connection's server process.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

import psutil
import psycopg
from benchmarks.bench import seeding
from benchmarks.store_contenders import Rollbook as Store
from rich.console import Console
from rich.table import Table

from rollbook import Rollbook
from rollbook_ops.devstack import Servers
from rollbook_shared.domain.stamps import new_job_id
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Identify, Job, Trigger, UserUpdate
from rollbook_worker.migrations.optional_indexes import create_index
from rollbook_worker.store import ReceivedJob

MESSAGES: Final = 30
FIRST_OTHER: Final = "other-00000000"
_WARM_UP: Final = 3
TRIGGER_OF_ALL: Final = "trigger-of-all"
_ROWS_OF_OTHERS: Final = """
INSERT INTO rollbook.{table}
SELECT copy.*
FROM rollbook.{table} AS original
CROSS JOIN generate_series(%(start)s::integer, %(end)s::integer - 1) AS number
CROSS JOIN LATERAL jsonb_populate_record(
    original,
    jsonb_build_object('id', gen_random_uuid(), 'recipient', left(original.recipient, -8) || lpad(number::text, 8, '0'))
) AS copy
WHERE original.job_id = %(job)s
    AND original.recipient = %(first)s
"""

Read = Callable[[Rollbook], object]
READS: Final[Mapping[str, Read]] = {
    "feeds.list": lambda rb: rb.feeds.list("ann"),
    "messages.list": lambda rb: rb.messages.list("ann"),
    "activities.list": lambda rb: rb.activities.list("ann"),
    'activities.list(role="actor")': lambda rb: rb.activities.list("ann", role="actor"),
    "users.get": lambda rb: rb.users.get("ann"),
    "users.list(where=e-mail)": lambda rb: rb.users.list(where={"email": "ANN@example.com"}),
    "users.find": lambda rb: rb.users.find(email="ANN@example.com"),
    "users.list": lambda rb: rb.users.list(limit=20),
    "users.list(prefix)": lambda rb: rb.users.list(prefix="ann", limit=20),
    'users.list(sort="-created_at")': lambda rb: rb.users.list(sort="-created_at", limit=20),
}
FEED_READS: Final[Mapping[str, Read]] = {
    "feeds.list": READS["feeds.list"],
    "feeds.list(count_newest=100)": lambda rb: rb.feeds.list("ann", count_newest=100),
    "messages.list": READS["messages.list"],
}

Figures = dict[str, dict[str, float]]
"""By read: `ms`, and `processor_ms`."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.read_scale", description=__doc__.splitlines()[0])
    parser.add_argument("--users", default="0,10000,100000,1000000", help="other users, ascending")
    parser.add_argument("--messages", default="30,10000,1000000", help="messages of the feed, ascending")
    parser.add_argument("--reads", type=int, default=50, help="reads of each kind (50)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    given = parser.parse_args()
    users, messages = ([int(number) for number in text.split(",")] for text in (given.users, given.messages))
    with Servers(durable=True) as servers:
        store = Store(servers.database_url, 1, "reads")
        with (
            psycopg.connect(store.url, autocommit=True) as connection,
            Rollbook(database_url=store.url) as rb,
        ):
            write_ann(store)
            for index in ("prefix", "created_at"):
                create_index(store.url, index)
            beside, known = {}, 0
            for number in users:
                add_others(connection, known, number)
                known = number
                beside[number] = _measure(connection, rb, READS, given.reads)
            feeds, held = {}, MESSAGES
            for number in messages:
                _add_messages(connection, held, number)
                held = number
                feeds[number] = _measure(connection, rb, FEED_READS, given.reads)
        store.close()
    if given.json:
        print(json.dumps({"other users": beside, "messages": feeds}))
        return
    _show("other users", beside)
    _show("messages of the feed", feeds)


def write_ann(store: Store) -> None:
    """Ann, the first of the others, and 30 messages of each by the other."""
    at = time.time_ns() // 1_000
    identified = at - (seeding.DAYS + 1) * 86_400_000_000  # before the copies of messages, which no user owns otherwise
    jobs: list[Job] = []
    for id_ in ("ann", FIRST_OTHER):
        name = id_.partition("-")[0].capitalize()
        address = "ann@example.com" if id_ == "ann" else "other.0@example.com"
        traits = {"email": address, "name": f"{name} the 0th", "created_at": "2026-01-01T00:00:00Z"}
        jobs.append(Identify(id=new_job_id(at), occurred_at=identified, user=UserUpdate(id=id_, traits=traits)))
    for number in range(1, MESSAGES + 1):
        for recipient, actor in (("ann", FIRST_OTHER), (FIRST_OTHER, "ann")):
            jobs.append(_trigger(at + number, new_job_id(at + number), recipient, actor))
    jobs.append(_trigger(at + MESSAGES + 1, TRIGGER_OF_ALL, FIRST_OTHER, FIRST_OTHER))
    store.store.apply([ReceivedJob.of(encode(job)) for job in jobs], now=at + MESSAGES + 2)


def _trigger(at: int, id_: str, recipient: str, actor: str) -> Trigger:
    data = {"text": "a text of the usual length"}
    return Trigger(id=id_, occurred_at=at, workflow="hello", recipients=(recipient,), actor=actor, data=data)


def add_others(connection: psycopg.Connection[Any], known: int, number: int) -> None:
    """Add other users with their rows, until there are so many of them."""
    if number > known:
        seeding.copy_user(connection, FIRST_OTHER, number, first=max(known, 1))
        asked = {"job": TRIGGER_OF_ALL, "first": FIRST_OTHER, "start": max(known, 1), "end": number}
        for table in ("activities", "messages"):
            connection.execute(_ROWS_OF_OTHERS.format(table=table).encode(), asked)
    connection.execute("VACUUM ANALYZE")


def _add_messages(connection: psycopg.Connection[Any], held: int, number: int) -> None:
    """Add messages of Ann, until there are so many of them."""
    if number > held:
        ((job_id,),) = connection.execute("SELECT max(job_id) FROM rollbook.messages WHERE recipient = 'ann'")
        seeding.copy_trigger(connection, job_id, number - held + 1)
    connection.execute("VACUUM ANALYZE")


def _measure(connection: psycopg.Connection[Any], rb: Rollbook, reads: Mapping[str, Read], times: int) -> Figures:
    """Each read so often, in turns; the first few warm up."""
    rb.users.get("ann")
    ((pid,),) = connection.execute("SELECT pid FROM pg_stat_activity WHERE application_name = 'rollbook'")
    server = psutil.Process(pid)
    took: dict[str, list[float]] = {name: [] for name in reads}
    used = dict.fromkeys(reads, 0.0)
    for number in range(times + _WARM_UP):
        for name in random.sample(list(reads), len(reads)):
            before, begin = seconds_of(server), time.perf_counter()
            reads[name](rb)
            seconds, processor = time.perf_counter() - begin, seconds_of(server) - before
            if number >= _WARM_UP:
                took[name].append(seconds)
                used[name] += processor
    return {
        name: {"ms": statistics.median(took[name]) * 1_000, "processor_ms": used[name] / times * 1_000}
        for name in reads
    }


def seconds_of(process: psutil.Process) -> float:
    """The processor time of a process so far; finer than psutil's, whose unit is a hundredth of a second."""
    with suppress(OSError), open(f"/proc/{process.pid}/schedstat", encoding="ascii") as schedstat:
        return int(schedstat.read().split()[0]) / 1e9
    times = process.cpu_times()
    return times.user + times.system


def _show(title: str, found: Mapping[int, Figures]) -> None:
    table = Table(title, title="milliseconds, and of them processor time of Postgres")
    reads = list(next(iter(found.values())))
    for name in reads:
        table.add_column(name, justify="right")
    for number, figures in found.items():
        cells = (f"{figures[name]['ms']:,.2f} ({figures[name]['processor_ms']:,.2f})" for name in reads)
        table.add_row(f"{number:,}", *cells)
    console = Console()
    console.width = max(console.width, 200)
    console.print(table)


if __name__ == "__main__":
    main()
