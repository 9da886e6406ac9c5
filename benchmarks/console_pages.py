"""How long the pages of the console take beside many users, jobs, dead letters, deferred jobs and deliveries.

    python -m benchmarks.console_pages [--users 1000000] [--loads 9] [--only jobs] [--json]

`rollbook serve` runs as its users run it, on a durable Postgres, with all optional indexes but that for `updated_at`.
There are as many messages, deliveries and jobs as users, and a tenth as many dead letters and deferred jobs; they are
rows that a worker wrote, copied by SQL. The output has milliseconds, medians of page loads in turns over one
connection: the whole time, and of it the processor time of the server and of Postgres, which other load of the machine
changes little.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import httpx
import psutil
import psycopg
from benchmarks.bench.environment import Environment
from benchmarks.bench.http_server import HttpServer
from benchmarks.read_scale import FIRST_OTHER, TRIGGER_OF_ALL, add_others, seconds_of, write_ann
from benchmarks.store_contenders import Rollbook as Store
from psycopg.types.json import Jsonb
from rich.console import Console
from rich.table import Table

from rollbook import Rollbook
from rollbook.database import Database
from rollbook_ops.devstack import Servers
from rollbook_server.console.accounts import add_account
from rollbook_server.console.plots import PLOTS
from rollbook_server.console.roles import Role
from rollbook_server.console.sessions import new_token, start_session
from rollbook_server.console.sign_in import SESSION_COOKIE
from rollbook_shared.jobs.codec import VERSION, encode
from rollbook_shared.jobs.models import Identify, Trigger, UserUpdate
from rollbook_worker.migrations.optional_indexes import create_index
from rollbook_worker.store import ReceivedJob

ACCOUNT: Final = "ada"
RECIPIENTS: Final = 1_000
_WARM_UP: Final = 2
_DAY: Final = 86_400_000_000
"""Microseconds."""
_COPIES: Final = """
INSERT INTO rollbook.{table}
SELECT copy.*
FROM rollbook.{table} AS original
CROSS JOIN generate_series(1, %(count)s::integer) AS number
CROSS JOIN LATERAL jsonb_populate_record(
    original, jsonb_build_object('id', 'copy-' || lpad(number::text, 9, '0')) || {changes}
) AS copy
WHERE original.id = %(id)s
"""
_BEFORE: Final = "now() - number * interval '0.3 seconds'"
_DELIVERIES: Final = """
INSERT INTO rollbook.deliveries
    (message_id, channel, workflow, priority, state, reason, attempts, due_at, expires_at, created_at, changed_at)
SELECT id, 'mail', 'hello', 0, state, reason, 1, CASE WHEN state = 'pending' THEN now() END, 'infinity', at, at
FROM (
    SELECT
        id,
        now() - row_number() OVER () * interval '0.3 seconds' AS at,
        CASE row_number() OVER () %% 100
            WHEN 0 THEN 'undeliverable' WHEN 1 THEN 'pending' WHEN 2 THEN 'skipped' ELSE 'sent'
        END AS state,
        CASE row_number() OVER () %% 100 WHEN 0 THEN 'mailbox unavailable' WHEN 2 THEN 'opted out' END AS reason
    FROM rollbook.messages
    WHERE job_id = %(job)s
) AS message
"""
_MEASUREMENT: Final = """
INSERT INTO rollbook.measurements (measured_at, figures)
SELECT date_bin('10 seconds', now(), 'epoch') + %s * interval '10 seconds', %s
"""

Figures = dict[str, dict[str, float]]
"""By page: `ms`, `server_ms` and `postgres_ms`."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.console_pages", description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=1_000_000, help="other users (1,000,000)")
    parser.add_argument("--loads", type=int, default=9, help="loads of each page (9)")
    parser.add_argument("--only", default="", help="only pages whose names have this text")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    given = parser.parse_args()
    with Servers(durable=True) as servers, Environment(servers) as environment:
        store = Store(servers.database_url, 1, "console")
        with psycopg.connect(store.url, autocommit=True) as connection:
            _fill(store, connection, given.users)
        url = _server(environment, store.url, servers.broker_url)
        pages = {name: path for name, path in _pages(store.url).items() if given.only in name}
        found = _measure(url, store.url, pages, given.loads, servers)
        store.close()
    if given.json:
        print(json.dumps(found))
        return
    _show(found)


def _fill(store: Store, connection: psycopg.Connection[Any], users: int) -> None:
    write_ann(store)
    for index in ("phone_number", "prefix", "created_at"):
        create_index(store.url, index)
    add_others(connection, 0, users)
    at = time.time_ns() // 1_000
    recipients = tuple(f"{FIRST_OTHER[:-8]}{number:08}" for number in range(min(RECIPIENTS, users)))
    user = UserUpdate(id="ann", traits={"plan": "pro"})
    rejected = {"id": "rejected", "traits": {"email": "no address"}}
    jobs = [
        encode(Identify(id="identify", occurred_at=at, user=user)),
        encode(Identify(id="deferred", occurred_at=at + _DAY, deferred=True, requested_at=at, user=user)),
        encode(Trigger(id="trigger", occurred_at=at, workflow="hello", recipients=recipients)),
        encode(Identify(id="guest", occurred_at=at, user=UserUpdate(id="guest", traits={"plan": "trial"}))),
        json.dumps({"v": VERSION, "id": "dead", "kind": "identify", "occurred_at": at, "user": rejected}),
    ]
    store.store.apply([ReceivedJob.of(job) for job in jobs], now=at)
    finished = f"jsonb_build_object('finished_at', {_BEFORE})"
    tenth = users // 10
    of_others = f"'user_ids', jsonb_build_array('{FIRST_OTHER[:-8]}' || lpad(number::text, 8, '0'))"
    failed = f"jsonb_build_object('failed_at', {_BEFORE}, {of_others})"
    due = f"jsonb_build_object('due_at', now() + number * interval '1 minute', {of_others})"
    copies = (
        ("jobs", "identify", users, finished),
        ("dead_letters", "dead", tenth, failed),
        ("deferred_jobs", "deferred", tenth, due),
    )
    for table, id_, count, changes in copies:
        connection.execute(_COPIES.format(table=table, changes=changes).encode(), {"id": id_, "count": count})
    connection.execute(_DELIVERIES, {"job": TRIGGER_OF_ALL})
    with connection.cursor() as cursor:
        figures = {name: 40.0 for plot in PLOTS for name, _ in plot.figures}
        cursor.executemany(_MEASUREMENT, [(-number, Jsonb(figures)) for number in range(359)])
    connection.execute("VACUUM ANALYZE")


def _pages(database_url: str) -> Mapping[str, str]:
    with Rollbook(database_url=database_url) as rb:
        message = rb.messages.list("ann", limit=1).items[0].id
        dead = rb.jobs.list_dead_letters(limit=1).items[0]
        delivery = rb.deliveries.list(state="undeliverable", limit=1).items[0].id
    return {
        "overview": "",
        "users": "/users",
        "users, the newest first": "/users?sort=-created_at",
        "users by the beginning of an id": "/users?q=other-0001",
        "users by the beginning of an address": "/users?q=other.77",
        "users by the beginning of all names": "/users?q=other%20the",
        "users by a whole address": "/users?q=other.77@example.com",
        "users by a property": "/users?key=plan&is=pro",
        "one user": "/users/ann",
        "preview of a merge": "/users/ann/merge?from=other-00000000",
        "one message": f"/messages/{message}",
        "jobs": "/jobs",
        "jobs, rejected": "/jobs?state=rejected",
        "jobs of a kind": "/jobs?kind=trigger",
        "jobs of a user": "/jobs?user_id=ann",
        "one job": "/jobs/copy-000000001",
        "one job, of 1,000 messages": "/jobs/trigger",
        "dead letters": "/dead-letters",
        "dead letters of a code": "/dead-letters?code=invalid",
        "one dead letter": f"/dead-letters/{dead.id}/{dead.key}",
        "deferred jobs": "/deferred",
        "deliveries, given up": "/deliveries",
        "deliveries, sent": "/deliveries?state=sent",
        "deliveries, sent on a channel": "/deliveries?state=sent&channel=push",
        "deliveries, pending": "/deliveries?state=pending",
        "deliveries of a user": "/deliveries?user_id=other-00000001",
        "one delivery": f"/deliveries/{delivery}",
        "templates": "/templates",
        "health": "/health",
        "audit": "/audit",
        "accounts": "/accounts",
    }


def _server(environment: Environment, database_url: str, broker_url: str) -> str:
    variables = {
        "ROLLBOOK_DATABASE_URL": database_url,
        "ROLLBOOK_BROKER_URL": broker_url,
        "ROLLBOOK_CONSOLE": "password",
    }
    return HttpServer(environment, "server", variables).url


def _measure(url: str, database_url: str, pages: Mapping[str, str], loads: int, servers: Servers) -> Figures:
    """Each page so often, in turns; the first few warm up."""
    with httpx.Client(base_url=url, timeout=300, cookies={SESSION_COOKIE: _session(database_url)}) as http:
        postgres = psutil.Process(servers.postgres.pid)
        (server,) = (each for each in psutil.Process().children(recursive=True) if "serve" in each.cmdline())
        took: dict[str, list[tuple[float, float, float]]] = {name: [] for name in pages}
        for number in range(loads + _WARM_UP):
            for name in random.sample(list(pages), len(pages)):
                before = _seconds_of_all(postgres), seconds_of(server), time.perf_counter()
                answer = http.get(f"/console{pages[name]}")
                whole = time.perf_counter() - before[2]
                own, others = seconds_of(server) - before[1], _seconds_of_all(postgres) - before[0]
                if answer.status_code != 200:
                    raise RuntimeError(f"{name}: {answer.status_code} {answer.text[-500:]}")
                if number >= _WARM_UP:
                    took[name].append((whole, own, others))
    keys = ("ms", "server_ms", "postgres_ms")
    return {
        name: {
            key: 1_000 * statistics.median(column) for key, column in zip(keys, zip(*times, strict=True), strict=True)
        }
        for name, times in took.items()
    }


def _session(database_url: str) -> str:
    token = new_token()
    database = Database(database_url)
    try:
        database.run(add_account(ACCOUNT, None, Role.ADMIN, True))
        database.run(start_session(ACCOUNT, token, timedelta(hours=12)))
    finally:
        database.close()
    return token


def _seconds_of_all(postgres: psutil.Process) -> float:
    """The processor time of the connections' processes so far; a page needs no other of Postgres'."""
    return sum(seconds_of(each) for each in postgres.children() if each.is_running())


def _show(found: Figures) -> None:
    table = Table("page", title="milliseconds, and of them processor time")
    for heading in ("whole", "server", "Postgres"):
        table.add_column(heading, justify="right")
    for name, figures in found.items():
        table.add_row(name, *(f"{figures[key]:,.1f}" for key in ("ms", "server_ms", "postgres_ms")))
    Console().print(table)


if __name__ == "__main__":
    main()
