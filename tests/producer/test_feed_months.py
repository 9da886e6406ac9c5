"""What a feed costs by month (rules 22 and 36): a page reads the newest months, until it is full, and no others."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from typing import Any, Final

import psycopg
import pytest
from psycopg.rows import dict_row
from tests.support.builders import DAY, DAY_0, day, merge, trigger, user
from tests.support.databases import LendDatabase, migrate, with_database
from tests.support.partitions import make_months

from rollbook import Rollbook, queries
from rollbook.async_database import AsyncDatabase
from rollbook.database import PLANNER, Database
from rollbook.queries import MessageSelection
from rollbook.queries.query import Query, Statement, Steps, query
from rollbook_shared.domain.deterministic_ids import message_id
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Job
from rollbook_worker.store import PostgresStore, ReceivedJob

MONTHS: Final = 10
LIMIT: Final = 20
PLANS: Final = pytest.mark.parametrize("plans", ["force_custom_plan", "force_generic_plan"])


OTHERS: Final = """
CREATE TEMPORARY TABLE others AS
SELECT 'other-' || n AS job_id, lpad(to_hex(%(first)s + n * %(step)s), 14, '0') || 'other-' || n || '!0002' AS stamp, n
FROM generate_series(1, 30000::bigint) AS n;
INSERT INTO rollbook.triggers (job_id, stamp, workflow, had_actor, actor, categories, data)
SELECT job_id, stamp, 'hello', true, 'other-' || n %% 900, '{}', '{}' FROM others;
INSERT INTO rollbook.activities (id, job_id, stamp, recipient)
SELECT gen_random_uuid(), job_id, stamp, 'other-' || n %% 900 FROM others;
INSERT INTO rollbook.messages (id, job_id, stamp, recipient, channel)
SELECT gen_random_uuid(), job_id, stamp, 'other-' || n %% 900, 'in_app' FROM others;
"""
"""A hundred a day."""


FILLED: Final = """
SELECT oid::regclass::text AS name
FROM pg_class
WHERE relnamespace = 'rollbook'::regnamespace
    AND relkind = 'r'
    AND pg_relation_size(oid) > 0
"""
"""What autovacuum analyses: neither the tables that have partitions, nor partitions that are empty."""

ALL: Final = """
SELECT oid::regclass::text AS name
FROM pg_class
WHERE relnamespace = 'rollbook'::regnamespace
    AND relkind IN ('r', 'p')
"""
"""What an operator analyses: Postgres then knows that the months made ahead are empty."""


def history() -> Iterator[Job]:
    """Of each of ten months, thirty messages of ann, as many of a guest who became part of her, and a few of others."""
    people = [user("ann"), user("guest")]
    for month in range(MONTHS):
        for number in range(30):
            at = month * 30 + number
            yield trigger("hello", [*people, user(f"other-{number}")], actor="ann", at=at, job=f"j{at}")
    yield merge("ann", "guest", at=MONTHS * 30)


@pytest.fixture(scope="module", params=[FILLED, ALL], ids=["autovacuum", "operator"])
def analysed(request: pytest.FixtureRequest) -> str:
    """Selects the tables that are analysed."""
    selects: str = request.param
    return selects


@pytest.fixture(scope="module")
def database_url(new_database: LendDatabase, analysed: str) -> Iterator[str]:
    """A database that was lent to no other test: of one whose tables had rows before, Postgres knows that some are
    empty, or that they have pages, and makes other plans.
    """
    server, name = new_database(), f"months_{os.getpid()}_{len(analysed)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        url = with_database(server, name)
        migrate(url)
        yield url
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture(scope="module")
def connection(database_url: str, analysed: str) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    make_months(database_url, DAY_0, day(300))
    store = PostgresStore(database_url)
    store.apply([ReceivedJob.of(encode(job)) for job in history()], now=day(301))
    store.close()
    with psycopg.connect(database_url, autocommit=True, row_factory=dict_row) as reader:
        with psycopg.ClientCursor(reader) as cursor:
            cursor.execute(OTHERS.encode(), {"first": DAY_0, "step": DAY // 100})
        for row in reader.execute(analysed.encode()).fetchall():
            reader.execute(b"ANALYZE " + row["name"].encode())
        for setting, value in PLANNER.items():
            reader.execute("SELECT set_config(%s, %s, false)", (setting, value))
        yield reader


def partitions_read(connection: psycopg.Connection[dict[str, Any]], asked: Query[Any], plans: str) -> dict[str, float]:
    """The rows that a query read from each partition of the history; of those that it looked into."""
    read: dict[str, float] = {}
    with connection.transaction(force_rollback=True):
        connection.execute(f"SET LOCAL plan_cache_mode = {plans}".encode())
        statement = next(asked.steps())
        explained = connection.execute(
            b"EXPLAIN (ANALYZE, FORMAT JSON) " + statement.sql.encode(), dict(statement.parameters), prepare=True
        ).fetchone()
    assert explained
    for node in nodes_of(explained["QUERY PLAN"][0]["Plan"]):
        name = node.get("Relation Name", "")
        if name.startswith(("messages_", "activities_", "triggers_")) and node["Actual Loops"]:
            assert node["Node Type"] != "Seq Scan"
            read[name] = read.get(name, 0) + node["Actual Rows"] * node["Actual Loops"]
    return read


def nodes_of(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from nodes_of(child)


def of(read: dict[str, float], table: str) -> list[str]:
    return sorted(name for name in read if name.startswith(table))


PAGES: Final[dict[str, Callable[[], Query[Any]]]] = {
    "messages": lambda: queries.find_messages("ann", MessageSelection(channel="in_app"), LIMIT),
    "activities": lambda: queries.find_activities("ann", "recipient", LIMIT, None),
    "triggers": lambda: queries.find_activities("ann", "actor", LIMIT, None),
}


@PLANS
@pytest.mark.parametrize("table", PAGES)
def test_rule_36_a_page_reads_no_more_months_than_it_needs(
    connection: psycopg.Connection[dict[str, Any]], table: str, plans: str
) -> None:
    read = partitions_read(connection, PAGES[table](), plans)

    assert sum(rows for name, rows in read.items() if name.startswith(table)) <= 4 * (LIMIT + 1)
    # the newest partitions are empty, and looked into; then one has a page, or two
    assert f"{table}_2026_04" not in read
    assert len(of(read, table)) <= 7


@PLANS
def test_rule_36_the_trigger_of_a_message_is_looked_for_in_one_month(
    connection: psycopg.Connection[dict[str, Any]], plans: str
) -> None:
    read = partitions_read(connection, queries.find_messages_by_ids([message_id("j65", "ann", "in_app")]), plans)

    assert of(read, "triggers") == ["triggers_2026_03"]
    assert read["triggers_2026_03"] == 1


@query
def planner_in_force() -> Steps[dict[str, str]]:
    rows = yield Statement(
        "SELECT name, setting FROM pg_settings WHERE name = ANY(%(names)s::text[])", {"names": list(PLANNER)}
    )
    return {row["name"]: row["setting"] for row in rows}


def test_reads_of_both_clients_have_the_settings_of_these_plans(database_url: str) -> None:
    blocking, coroutines = Database(database_url), AsyncDatabase(database_url)

    async def read() -> dict[str, str]:
        found = await coroutines.run(planner_in_force())
        await coroutines.aclose()
        return found

    assert blocking.run(planner_in_force()) == asyncio.run(read()) == PLANNER
    blocking.close()


def test_rule_36_pages_by_month_show_every_message_once(database_url: str) -> None:
    seen: list[str] = []
    with Rollbook(database_url=database_url) as rb:
        page = rb.messages.list("ann", limit=50)
        while True:
            seen += [str(message.id) for message in page.items]
            if page.after is None:
                break
            page = rb.messages.list("ann", limit=50, after=page.after)

    # of the guest, those of the thirty days before the merge
    assert len(seen) == len(set(seen)) == MONTHS * 30 + 30
