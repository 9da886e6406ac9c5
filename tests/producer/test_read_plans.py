"""No read costs more because other users exist: each is planned and run beside 30,000 of them, and scans no table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, Final, NamedTuple

import psycopg
import pytest
from psycopg.rows import dict_row
from tests.support.builders import identify, merge, set_preferences, trigger, user
from tests.support.producer.applied_jobs import NOW

from rollbook import queries
from rollbook.queries import Query
from rollbook.queries.messages import TOP
from rollbook_shared import jobs
from rollbook_shared.domain.stamps import microseconds
from rollbook_shared.jobs.codec import encode
from rollbook_worker.store import PostgresStore, ReceivedJob

OTHERS: Final = 30_000
MOST_ROWS: Final = 1_100
"""How many users, or rows of a scanned table, one read may look at: the recipients of one trigger, of whom one page of
an actor's activities sorts all, and some more.
"""

# Written by SQL, because applying the jobs of so many would take minutes.
COPIES: Final = """
INSERT INTO rollbook.users (id, profile, key_stamps, base_stamp, last_stamp, first_identified, identify_stamps)
SELECT 'copy-' || n, profile, key_stamps, base_stamp, last_stamp, first_identified, ''
FROM rollbook.users, generate_series(1, %(others)s) AS n
WHERE id = 'plain';
INSERT INTO rollbook.triggers (job_id, stamp, workflow, had_actor, actor, categories, data)
SELECT job_id || '-copy-' || n, stamp, workflow, true, 'copy-' || n, categories, data
FROM (SELECT * FROM rollbook.triggers LIMIT 1) AS one, generate_series(1, %(others)s) AS n;
INSERT INTO rollbook.activities (id, job_id, stamp, recipient)
SELECT gen_random_uuid(), job_id, stamp, actor FROM rollbook.triggers WHERE actor LIKE 'copy-%%';
INSERT INTO rollbook.messages (id, job_id, stamp, recipient, channel)
SELECT gen_random_uuid(), job_id, stamp, actor, 'in_app' FROM rollbook.triggers WHERE actor LIKE 'copy-%%';
INSERT INTO rollbook.engagements (message_id, engagement, stamp, is_set)
SELECT id, 'seen', stamp, true FROM rollbook.messages WHERE recipient LIKE 'copy-%%';
INSERT INTO rollbook.preference_set_versions (user_id, set_id, stamp, settings)
SELECT 'copy-' || n, 'default', '00', '{}' FROM generate_series(1, %(others)s) AS n;
"""


class Read(NamedTuple):
    """What one node of a plan read of a table."""

    node: str
    table: str
    rows: float


def history() -> Iterator[jobs.Job]:
    yield identify("plain", email="plain@example.com", plan="free", at=9)
    yield trigger("news", [user(f"other-{number}") for number in range(500)], actor="plain", at=10)
    for number in range(60):
        yield trigger("hello", ["ann", "guest"], actor=user(f"other-{number}"), at=10, plus=number + 1)
    yield identify("ann", name="Ann", at=9)
    yield identify("guest", at=9)
    yield set_preferences("ann", "default", {"workflows": {"news": False}}, at=9)
    yield merge("ann", "guest", at=12)


@pytest.fixture(scope="module")
def connection(database_url: str) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    store = PostgresStore(database_url)
    received = [ReceivedJob.of(encode(job)) for job in history()]
    store.apply(received, now=microseconds(NOW))
    store.close()
    with psycopg.connect(database_url, autocommit=True, row_factory=dict_row) as connection:
        for statement in COPIES.split(";\n"):
            connection.execute(statement.encode(), {"others": OTHERS})
        connection.execute("VACUUM ANALYZE")
        yield connection


READS: Final[dict[str, Callable[[], Query[Any]]]] = {
    "user": lambda: queries.find_user("ann"),
    "merged-away user's messages": lambda: queries.find_messages("guest", "in_app", "any", 30, None),
    "preferences": lambda: queries.find_preferences("ann"),
    "channel data": lambda: queries.find_channel_data("ann"),
    "page of users": lambda: queries.find_users(50, None, {}),
    "later page of users": lambda: queries.find_users(50, "copy-2", {}),
    "feed": lambda: queries.find_feed("ann", "in_app", "all", 30, None),
    "unread feed": lambda: queries.find_feed("ann", "in_app", "unread", 30, None),
    "later page of a feed": lambda: queries.find_feed("ann", "in_app", "all", 30, TOP),
    "messages": lambda: queries.find_messages("ann", "in_app", "any", 30, None),
    "activities as recipient": lambda: queries.find_activities("ann", "recipient", 30, None),
    "activities as actor": lambda: queries.find_activities("plain", "actor", 30, None),
    "merge preview": lambda: queries.preview_merge(
        jobs.Merge(id="m", occurred_at=microseconds(NOW), primary_id="ann", secondary_id="other-1"), timedelta(days=30)
    ),
    "export": lambda: queries.export_user("ann"),
    "export of an actor": lambda: queries.export_user("plain"),
}


def reads_of(node: dict[str, Any]) -> Iterator[Read]:
    if table := node.get("Relation Name"):
        removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
        yield Read(node["Node Type"], table, (node["Actual Rows"] + removed) * node["Actual Loops"])
    for child in node.get("Plans", ()):
        yield from reads_of(child)


@pytest.mark.parametrize("plans", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize("read", READS)
def test_a_read_looks_at_few_users(connection: psycopg.Connection[dict[str, Any]], read: str, plans: str) -> None:
    """Postgres plans a statement for its values at first, and for any values later; both must use the indexes."""
    reads: list[Read] = []
    with connection.transaction(force_rollback=True):
        connection.execute(f"SET LOCAL plan_cache_mode = {plans}".encode())
        steps = READS[read]().steps()
        rows: Any = None
        while True:
            try:
                statement = steps.send(rows)
            except StopIteration:
                break
            parameters = dict(statement.parameters)
            explained = connection.execute(
                b"EXPLAIN (ANALYZE, FORMAT JSON) " + statement.sql.encode(), parameters, prepare=True
            ).fetchone()
            assert explained
            reads += reads_of(explained["QUERY PLAN"][0]["Plan"])
            rows = connection.execute(statement.sql.encode(), parameters).fetchall()

    scans = [one for one in reads if one.node == "Seq Scan" and one.rows > MOST_ROWS]
    assert scans == []
    assert sum(one.rows for one in reads if one.table == "users") <= MOST_ROWS
