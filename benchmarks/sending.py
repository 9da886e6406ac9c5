"""What sending costs an application: users a second by each way of sending, next to stock Celery's `delay`.

    python benchmarks/sending.py [--quick] [--rounds 9] [--append-fsync everysec|always] [--json]

One process with one thread sends to a Valkey that is started here; no worker consumes. In each round every way sends
its own number of the same users, with ten properties of about 300 bytes. The ways follow each other, in another order
each round, so that other load of the machine falls on all of them alike. The output has the medians of the rounds, and
the median of the ratios within a round. Buffered is timed from the first call until Redis has everything.

`enqueue_vs_delay` is `users.identify` over `task.delay(user_id, traits)` of a task of the application's own, in jobs a
second; `buffered_vs_delay` is the same of `rb.buffered()`.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final, get_args

import psycopg
import redis
from celery import Celery

from rollbook import Rollbook
from rollbook.outbox import create_table
from rollbook_ops.devstack import Servers
from rollbook_ops.devstack.valkey import AppendFsync

BULK_QUEUE: Final = 100
YARDSTICK: Final = "celery: task.delay"
KEYS: Final = {"enqueue_vs_delay": "users.identify", "buffered_vs_delay": "buffered identify"}
User = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Way:
    """One way of sending users."""

    name: str
    users: int
    """In a round; about a quarter of a second's worth: many short rounds even out what else the machine does."""
    send: Callable[[list[User]], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """What a way reached."""

    users_a_second: float
    of_delay: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rounds: under a minute")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--append-fsync", choices=get_args(AppendFsync), help="Valkey keeps a file; by default none")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rounds = given.rounds or (15 if given.quick else 60)
    fsync: AppendFsync | None = given.append_fsync
    with (
        Servers(durable=True, append_only=fsync is not None, append_fsync=fsync or "everysec") as servers,
        ways_to(servers) as ways,
    ):
        figures = measure(ways, servers.broker_url, rounds)
    keys = {key: round(figures[way].of_delay, 2) for key, way in KEYS.items()}
    if given.json:
        shown = {name: {"users_a_second": f.users_a_second, "of_delay": f.of_delay} for name, f in figures.items()}
        print(json.dumps({"rounds": rounds, "ways": shown, **keys}))
        return
    print(f"{'median of ' + str(rounds) + ' rounds':<30}{'users/s':>10}{'us/user':>10}{'of delay':>10}")
    for name, figure in figures.items():
        rate = figure.users_a_second
        print(f"{name:<30}{rate:>10,.0f}{1e6 / rate:>10,.1f}{figure.of_delay:>10.2f}")
    print("  ".join(f"{key} {value}" for key, value in keys.items()))


@contextmanager
def ways_to(servers: Servers) -> Iterator[list[Way]]:
    """Every way, connected and warm."""
    with ExitStack() as to_close:
        client = to_close.enter_context(redis.Redis.from_url(servers.broker_url))
        rb = to_close.enter_context(Rollbook(broker_url=servers.broker_url))
        connection = to_close.enter_context(psycopg.connect(servers.database_url, autocommit=True))
        create_table(lambda statement: connection.execute(statement.encode()))
        task = _stock_task(servers.broker_url)

        def delay(users: list[User]) -> None:
            for user in users:
                task.delay(user["id"], user["traits"])

        def identify(users: list[User]) -> None:
            for user in users:
                rb.users.identify(user["id"], user["traits"])

        def buffered(users: list[User]) -> None:
            with rb.buffered() as gathering:
                for user in users:
                    gathering.users.identify(user["id"], user["traits"])

        def bulk(users: list[User]) -> None:
            for first in range(0, len(users), BULK_QUEUE):
                rb.users.bulk_identify(
                    {"id": user["id"], **user["traits"]} for user in users[first : first + BULK_QUEUE]
                )

        def outbox(users: list[User]) -> None:
            with connection.transaction():
                within = rb.outbox(connection)
                for user in users:
                    within.users.identify(user["id"], user["traits"])

        def push(users: list[User]) -> None:
            for _ in users:
                client.lpush("default", message)

        def push_many(users: list[User]) -> None:
            for first in range(0, len(users), 500):
                client.lpush("default", *([message] * len(users[first : first + 500])))

        delay(new_users(1))
        message = client.lindex("celery", 0)
        yield [
            Way(name=YARDSTICK, users=400, send=delay),
            Way(name="users.identify", users=1_000, send=identify),
            Way(name="buffered identify", users=10_000, send=buffered),
            Way(name="users.bulk_identify of 100", users=5_000, send=bulk),
            Way(name="outbox, one transaction", users=500, send=outbox),
            Way(name="floor: redis LPUSH", users=2_000, send=push),
            Way(name="floor: redis LPUSH of 500", users=20_000, send=push_many),
        ]


def measure(ways: list[Way], broker_url: str, rounds: int) -> dict[str, Figure]:
    """All ways, round by round; Redis is emptied in between, or it would fill the machine."""
    rates: dict[str, list[float]] = {way.name: [] for way in ways}
    with redis.Redis.from_url(broker_url) as client:
        for round_ in range(rounds + 1):
            _show_progress(round_, rounds)
            for way in random.sample(ways, len(ways)):
                client.flushdb()
                users = new_users(way.users)
                begin = time.perf_counter()
                way.send(users)
                rate = way.users / (time.perf_counter() - begin)
                if round_:  # the first warms up
                    rates[way.name].append(rate)
    stock = rates[YARDSTICK]
    return {
        name: Figure(
            users_a_second=statistics.median(own),
            of_delay=statistics.median(one / other for one, other in zip(own, stock, strict=True)),
        )
        for name, own in rates.items()
    }


def new_users(count: int) -> list[User]:
    """Users as an application has them: a mapping each, of ten properties, about 300 bytes as JSON."""
    return [
        {
            "id": f"user-{number:09}",
            "traits": {
                "email": f"ann.example.{number}@example.com",
                "name": "Ann Example-Ñuñez",
                "plan": "professional",
                "seats": number,
                "score": number / 7,
                "is_admin": False,
                "company": "Example Industries GmbH & Co. KG",
                "last_seen_page": "/settings/notifications/channels",
                "referrer": None,
                "address": {"city": "Berlin", "country": "DE", "tags": ["home", "billing"]},
            },
        }
        for number in random.sample(range(10**9), count)
    ]


def _stock_task(broker_url: str) -> Any:
    """What an application would write: a task of its own in an app as Celery makes it."""

    def identify(user_id: str, traits: dict[str, Any]) -> None:
        raise NotImplementedError("no worker consumes here")

    return Celery("stock", broker=broker_url).task(name="stock.identify", ignore_result=True)(identify)


def _show_progress(done: int, of: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{'#' * done:<{of}} {done}/{of}", end="\n" if done == of else "", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
