"""What publishing costs an application: users per second of each method, relative to stock Celery's `delay`.

    python benchmarks/publish_cost.py [--quick] [--rounds 9] [--append-fsync everysec|always] [--json]

One process with one thread publishes to a Valkey that is started here; no worker consumes. In each round every method
sends its own number of the same users, with ten properties of about 300 bytes. The methods take turns in random order,
so that other load of the machine affects all of them. The output has the medians of the rounds, and the median of the
ratios within a round. Buffered is timed from the first call until Redis has everything.

`enqueue_vs_delay` is `users.identify` relative to `task.delay(user_id, traits)` of an application's own task, in jobs
per second; `buffered_vs_delay` is the same for `rb.buffered()`.
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

BULK_USERS: Final = 100
BASELINE: Final = "celery: task.delay"
KEYS: Final = {"enqueue_vs_delay": "users.identify", "buffered_vs_delay": "buffered identify"}
User = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Method:
    """One method of sending users."""

    name: str
    users: int
    """Users in a round, for about a quarter of a second: many short rounds average out other load of the machine."""
    send: Callable[[list[User]], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """What a method reached."""

    users_per_second: float
    of_delay: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rounds: less than a minute")
    parser.add_argument("--rounds", type=int)
    parser.add_argument(
        "--append-fsync",
        choices=get_args(AppendFsync),
        help="Valkey writes an append-only file; by default it does not",
    )
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rounds = given.rounds or (15 if given.quick else 60)
    fsync: AppendFsync | None = given.append_fsync
    with (
        Servers(durable=True, append_only=fsync is not None, append_fsync=fsync or "everysec") as servers,
        methods_for(servers) as methods,
    ):
        figures = measure(methods, servers.broker_url, rounds)
    keys = {key: round(figures[method].of_delay, 2) for key, method in KEYS.items()}
    if given.json:
        shown = {name: {"users_a_second": f.users_per_second, "of_delay": f.of_delay} for name, f in figures.items()}
        print(json.dumps({"rounds": rounds, "methods": shown, **keys}))
        return
    print(f"{'median of ' + str(rounds) + ' rounds':<30}{'users/s':>10}{'us/user':>10}{'of delay':>10}")
    for name, figure in figures.items():
        rate = figure.users_per_second
        print(f"{name:<30}{rate:>10,.0f}{1e6 / rate:>10,.1f}{figure.of_delay:>10.2f}")
    print("  ".join(f"{key} {value}" for key, value in keys.items()))


@contextmanager
def methods_for(servers: Servers) -> Iterator[list[Method]]:
    """Every method, connected and warm."""
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
            with rb.buffered() as buffer:
                for user in users:
                    buffer.users.identify(user["id"], user["traits"])

        def bulk(users: list[User]) -> None:
            for first in range(0, len(users), BULK_USERS):
                rb.users.bulk_identify(
                    {"id": user["id"], **user["traits"]} for user in users[first : first + BULK_USERS]
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
            Method(name=BASELINE, users=400, send=delay),
            Method(name="users.identify", users=1_000, send=identify),
            Method(name="buffered identify", users=10_000, send=buffered),
            Method(name="users.bulk_identify of 100", users=5_000, send=bulk),
            Method(name="outbox, one transaction", users=500, send=outbox),
            Method(name="floor: redis LPUSH", users=2_000, send=push),
            Method(name="floor: redis LPUSH of 500", users=20_000, send=push_many),
        ]


def measure(methods: list[Method], broker_url: str, rounds: int) -> dict[str, Figure]:
    """All methods, round by round. Redis is emptied in between, or it would fill the memory."""
    rates: dict[str, list[float]] = {method.name: [] for method in methods}
    with redis.Redis.from_url(broker_url) as client:
        for round_ in range(rounds + 1):
            _show_progress(round_, rounds)
            for method in random.sample(methods, len(methods)):
                client.flushdb()
                users = new_users(method.users)
                begin = time.perf_counter()
                method.send(users)
                rate = method.users / (time.perf_counter() - begin)
                if round_:  # the first warms up
                    rates[method.name].append(rate)
    stock = rates[BASELINE]
    return {
        name: Figure(
            users_per_second=statistics.median(own),
            of_delay=statistics.median(one / other for one, other in zip(own, stock, strict=True)),
        )
        for name, own in rates.items()
    }


def new_users(count: int) -> list[User]:
    """Users of an application: mappings of ten properties, about 300 bytes as JSON."""
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
    """What an application would write: its own task in a default Celery app."""

    def identify(user_id: str, traits: dict[str, Any]) -> None:
        raise NotImplementedError("no worker consumes here")

    return Celery("stock", broker=broker_url).task(name="stock.identify", ignore_result=True)(identify)


def _show_progress(done: int, of: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{'#' * done:<{of}} {done}/{of}", end="\n" if done == of else "", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
