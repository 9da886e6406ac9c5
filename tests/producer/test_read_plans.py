"""No read costs more because other users exist: each is planned and run beside 30,000 of them, and scans no table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import psycopg
import pytest
from psycopg.rows import dict_row
from tests.support.builders import add_push_token, identify, mark_all, merge, set_preferences, trigger, user
from tests.support.partitions import table_of
from tests.support.producer.applied_jobs import NOW

from rollbook import DeliveryState, queries
from rollbook.queries import (
    JobFilter,
    MessageFilter,
    MessageSelection,
    Query,
    SentJob,
    UserCursor,
    UserFilter,
    UserSort,
)
from rollbook.queries.page_cursor import BOTTOM, TOP, PageCursor
from rollbook.queries.user_list import MAX_SCANNED
from rollbook_shared import jobs
from rollbook_shared.domain.deterministic_ids import message_id
from rollbook_shared.domain.stamps import microseconds
from rollbook_shared.errors import NotConfigured
from rollbook_shared.jobs.codec import encode
from rollbook_worker.migrations.optional_indexes import create_index, drop_index
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
UPDATE rollbook.users
SET profile = profile || jsonb_build_object(
        'a.email', id || '@example.com',
        'a.name', 'Name of ' || id,
        'a.phone_number', '+1415555' || substr(id, 6),
        'a.created_at', '2026-01-01T00:00:00.' || substr(id, 6) || 'Z'
    )
WHERE id LIKE 'copy-%%' AND id NOT LIKE '%%7';
UPDATE rollbook.users SET profile = profile - 'a.email' WHERE id LIKE 'copy-%%7';
INSERT INTO rollbook.triggers (job_id, stamp, workflow, had_actor, actor, categories, data)
SELECT job_id || '-copy-' || n, stamp, workflow, true, 'copy-' || n, categories, data
FROM (SELECT * FROM rollbook.triggers LIMIT 1) AS one, generate_series(1, %(others)s) AS n;
INSERT INTO rollbook.activities (id, job_id, stamp, recipient)
SELECT gen_random_uuid(), job_id, stamp, actor FROM rollbook.triggers WHERE actor LIKE 'copy-%%';
INSERT INTO rollbook.messages (id, job_id, stamp, recipient, channel)
SELECT gen_random_uuid(), job_id, stamp, actor, 'in_app' FROM rollbook.triggers WHERE actor LIKE 'copy-%%';
INSERT INTO rollbook.engagements (message_id, engagement, stamp, is_set)
SELECT id, 'seen', stamp, true FROM rollbook.messages WHERE recipient LIKE 'copy-%%';
INSERT INTO rollbook.deliveries
    (message_id, channel, workflow, priority, state, due_at, expires_at, created_at, changed_at)
SELECT id, 'mail', 'hello', 0, 'sent', NULL, 'infinity', now(), now() - row_number() OVER () * interval '1 second'
FROM rollbook.messages WHERE recipient LIKE 'copy-%%';
INSERT INTO rollbook.preference_set_versions (user_id, set_id, stamp, settings)
SELECT 'copy-' || n, 'default', '00', '{}' FROM generate_series(1, %(others)s) AS n;
INSERT INTO rollbook.push_token_changes (user_id, channel_id, stamp, token, is_added)
SELECT 'copy-' || n, 'push', '00', 'token', true FROM generate_series(1, %(others)s) AS n;
INSERT INTO rollbook.channel_engagements (user_id, channel, engagement, stamp, is_set)
SELECT 'copy-' || n, 'in_app', 'seen', '00', true FROM generate_series(1, %(others)s) AS n;
INSERT INTO rollbook.jobs (id, kind, digest, state, occurred_at, finished_at, user_ids, requested_at)
SELECT 'copy-' || n, CASE WHEN n %% 2 = 0 THEN 'identify' ELSE 'trigger' END, '',
    CASE WHEN n %% 100 = 0 THEN 'cancelled' WHEN n %% 100 = 1 THEN 'rejected' ELSE 'applied' END, n,
    timestamptz '2026-01-01 00:00:00+00' + n * interval '1 second',
    CASE WHEN n %% 100 < 2 THEN ARRAY['copy-' || n] END, CASE WHEN n %% 100 < 2 THEN n END
FROM generate_series(1, %(others)s) AS n;
INSERT INTO rollbook.jobs (id, kind, digest, state, occurred_at, finished_at)
SELECT 'deferred-' || n, 'identify', '', 'deferred', n,
    timestamptz '2026-01-01 00:00:00+00' + n * interval '1 second'
FROM generate_series(1, %(others)s) AS n;
INSERT INTO rollbook.deferred_jobs (id, due_at, body, user_ids, requested_at)
SELECT 'deferred-' || n, timestamptz '2026-01-01 00:00:00+00' + n * interval '1 second', '', ARRAY['copy-' || n], n
FROM generate_series(1, %(others)s) AS n;
INSERT INTO rollbook.dead_letters (id, digest, kind, code, reason, body, user_ids, failed_at)
SELECT 'copy-' || n, decode(md5(n::text), 'hex'), 'identify', 'invalid', '', '', ARRAY['copy-' || n],
    timestamptz '2026-01-01 00:00:00+00' + n * interval '1 second'
FROM generate_series(1, %(others)s) AS n;
"""


class Read(NamedTuple):
    """What one node of a plan read of a table."""

    node: str
    table: str
    rows: float


def history() -> Iterator[jobs.Job]:
    yield identify("plain", email="plain@example.com", plan="free", at=9)
    yield trigger("news", [user(f"other-{number}") for number in range(500)], actor="plain", at=10, job="news")
    for number in range(60):
        yield trigger("hello", ["ann", "guest"], actor=user(f"other-{number}"), at=10, plus=number + 1)
    yield identify("ann", name="Ann", at=9)
    yield identify("guest", at=9)
    yield set_preferences("ann", "default", {"workflows": {"news": False}}, at=9)
    yield add_push_token("ann", "push", "token-1", at=9)
    yield mark_all("ann", "seen", at=11)
    yield merge("ann", "guest", at=12, job="the-merge")


@pytest.fixture(scope="module")
def connection(database_url: str) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    store = PostgresStore(database_url)
    received = [ReceivedJob.of(encode(job)) for job in history()]
    store.apply(received, now=microseconds(NOW))
    store.close()
    with psycopg.connect(database_url, autocommit=True, row_factory=dict_row) as connection:
        for index in ("phone_number", "prefix", "created_at"):
            create_index(database_url, index)
        for statement in COPIES.split(";\n"):
            connection.execute(statement.encode(), {"others": OTHERS})
        connection.execute("VACUUM ANALYZE")
        yield connection


def users(sort: UserSort | None = None, after: UserCursor | None = None, **which: Any) -> Callable[[], Query[Any]]:
    return lambda: queries.find_users(50, UserFilter(**which), sort, after)


def before(cursor: UserCursor, sort: UserSort | None = None, **which: Any) -> Callable[[], Query[Any]]:
    return lambda: queries.find_users(50, UserFilter(**which), sort, None, cursor)


def listed_jobs(after: PageCursor | None = None, **which: Any) -> Callable[[], Query[Any]]:
    return lambda: queries.find_jobs(50, JobFilter(**which), after)


CREATED: Final = microseconds(datetime(2026, 1, 1, tzinfo=UTC)) + 200_000
"""In the middle of the copies."""

READS: Final[dict[str, Callable[[], Query[Any]]]] = {
    "user": lambda: queries.find_user("ann"),
    "users by their ids": lambda: queries.find_users_by_ids(["ann", "copy-7", "guest", "nobody"]),
    "merged-away user's messages": lambda: queries.find_messages("guest", MessageSelection(channel="in_app"), 30),
    "preferences": lambda: queries.find_preferences("ann"),
    "channel data": lambda: queries.find_channel_data("ann", "push"),
    "page of users": users(),
    "later page of users": users(after=UserCursor("id", 0, "copy-2", "copy-2")),
    "earlier page of users": before(UserCursor("id", 0, "copy-2", "copy-2")),
    "users downwards": users("-id", UserCursor("-id", 0, "copy-2", "copy-2")),
    "users by e-mail address": users(where={"email": "COPY-17@example.com"}),
    "users by phone number": users(where={"phone_number": "+141555523"}),
    "users by e-mail address, sorted": users("-created_at", where={"email": "copy-19@example.com"}),
    "users by a prefix that many have": users(prefix="copy-"),
    "users by the prefix of a name": users(
        prefix="name of COPY-2", after=UserCursor("prefix", 2, "name of copy-2", "")
    ),
    "users before one with a prefix": before(UserCursor("prefix", 2, "name of copy-2", "x"), prefix="name of"),
    "users by a prefix that some have": users(prefix="copy-12"),
    "users by a name that some have": users(prefix="name of copy-1"),
    "users by a prefix that few have, sorted": users("-created_at", prefix="copy-1234"),
    "users by the time they were created": users("created_at", UserCursor("created_at", 0, CREATED, "x")),
    "users created last": users("-created_at"),
    "users before one by the time they were created": before(UserCursor("-created_at", 0, CREATED, "x"), "-created_at"),
    "users found by an e-mail address": lambda: queries.find_all_users(
        UserFilter(where={"email": "Plain@Example.com"})
    ),
    "count of users with an e-mail address": lambda: queries.count_users(UserFilter(where={"email": "a@example.com"})),
    "jobs": listed_jobs(),
    "later jobs": listed_jobs(PageCursor.at(datetime(2026, 1, 1, 2, tzinfo=UTC), "x")),
    "jobs up to a time": listed_jobs(until=datetime(2026, 1, 1, 2, tzinfo=UTC)),
    "applied jobs": listed_jobs(state="applied"),
    "cancelled jobs": listed_jobs(PageCursor.at(datetime(2026, 1, 1, 2, tzinfo=UTC), "x"), state="cancelled"),
    "identifies": listed_jobs(kind="identify"),
    "dead jobs": listed_jobs(PageCursor.at(datetime(2026, 1, 1, 2, tzinfo=UTC), "x"), state="dead"),
    "dead letters": lambda: queries.find_dead_letters(50, None),
    "later dead letters of a code": lambda: queries.find_dead_letters(
        50, PageCursor.at(datetime(2026, 1, 1, 2, tzinfo=UTC), "x", "00" * 16), "invalid"
    ),
    "dead letters to replay": lambda: queries.claim_dead_letters("invalid", 100, None, 1.0),
    "dead letters to drop": lambda: queries.drop_dead_letters_of_code("invalid", 300, None),
    "sent deliveries": lambda: queries.find_deliveries(DeliveryState.SENT, None, 50, None),
    "sent deliveries of a channel": lambda: queries.find_deliveries(DeliveryState.SENT, "mail", 50, None),
    "deliveries of a user": lambda: queries.find_deliveries_of_user("copy-7", None, None, 50, None),
    "measurements": lambda: queries.find_measurements(None),
    "jobs of a user": listed_jobs(user_id="ann"),
    "jobs of an actor": listed_jobs(user_id="other-1"),
    "cancelled jobs of a user": listed_jobs(user_id="copy-200", state="cancelled"),
    "deferred jobs of a user": listed_jobs(user_id="copy-200", state="deferred"),
    "dead jobs of a user": listed_jobs(user_id="copy-200", state="dead"),
    "status of a merge": lambda: queries.find_job_status(SentJob("the-merge")),
    "feed": lambda: queries.find_feed("ann", MessageSelection(channel="in_app", status="all"), 30),
    "ids of a feed": lambda: queries.find_owned_ids("ann"),
    "unread feed": lambda: queries.find_feed("ann", MessageSelection(channel="in_app", status="unread"), 30),
    "later page of a feed": lambda: queries.find_feed(
        "ann", MessageSelection(channel="in_app", status="all", after=TOP), 30
    ),
    "newer messages of a feed": lambda: queries.find_feed(
        "ann", MessageSelection(channel="in_app", status="all", before=BOTTOM), 30
    ),
    "feed of one workflow": lambda: queries.find_feed(
        "ann", MessageSelection(channel="in_app", status="all", where=MessageFilter(workflow="hello", data={})), 30
    ),
    "messages": lambda: queries.find_messages("ann", MessageSelection(channel="in_app"), 30),
    "message": lambda: queries.find_messages_by_ids([message_id("news", "other-1", "in_app")]),
    "activities as recipient": lambda: queries.find_activities("ann", "recipient", 30, None),
    "activities as actor": lambda: queries.find_activities("plain", "actor", 30, None),
    "merge preview": lambda: queries.preview_merge(
        jobs.Merge(id="m", occurred_at=microseconds(NOW), primary_id="ann", secondary_id="other-1"), timedelta(days=30)
    ),
    "explanation of a user": lambda: queries.explain_user("ann"),
    "explanation of a user in no cluster": lambda: queries.explain_user("copy-7"),
    "explanation of a message": lambda: queries.explain_message(
        message_id("news", "other-1", "in_app"), timedelta(days=30)
    ),
    "explanation of a message of a merged user": lambda: queries.explain_message(
        message_id("news", "ann", "in_app"), timedelta(days=30)
    ),
    "export": lambda: queries.export_user("ann"),
    "export of an actor": lambda: queries.export_user("plain"),
}


BOUNDED: Final[dict[str, Callable[[], Query[Any]]]] = {
    "users by name": users(where={"name": "Name of copy-18"}),
    "users by a property that few have": users(where={"plan": "none"}),
    "users who were not created": users("created_at", UserCursor("created_at", 1, None, "")),
    "users by an attribute, by the time they were created": users("-created_at", where={"locale": "de"}),
    "triggers": listed_jobs(PageCursor.at(datetime(2026, 1, 1, 2, tzinfo=UTC), "x"), kind="trigger"),
    "merges": listed_jobs(kind="merge"),
    "sent deliveries of a rare channel": lambda: queries.find_deliveries(DeliveryState.SENT, "fcm", 50, None),
    "count of users": lambda: queries.count_users(UserFilter()),
    "counts of dead letters": lambda: queries.count_dead_letters(),
    "count of users with a prefix": lambda: queries.count_users(UserFilter(prefix="copy-")),
}
"""Reads that look at a bounded number of users, jobs and dead letters, however many there are."""


def reads_of(node: dict[str, Any]) -> Iterator[Read]:
    if table := node.get("Relation Name"):
        removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
        yield Read(node["Node Type"], table_of(table), (node["Actual Rows"] + removed) * node["Actual Loops"])
    for child in node.get("Plans", ()):
        yield from reads_of(child)


def reads_by(connection: psycopg.Connection[dict[str, Any]], query: Query[Any], plans: str) -> list[Read]:
    """What a query reads. Postgres plans a statement for its values at first, and for any values later; both must use
    the indexes.
    """
    reads: list[Read] = []
    with connection.transaction(force_rollback=True):
        connection.execute(f"SET LOCAL plan_cache_mode = {plans}".encode())
        steps = query.steps()
        rows: Any = None
        while True:
            try:
                statement = steps.send(rows)
            except StopIteration:
                # what functions read is in no plan
                scanned = connection.execute(SCANNED).fetchall()
                return [*reads, *(Read("Scans", row["table"], row["rows"]) for row in scanned)]
            parameters = dict(statement.parameters)
            explained = connection.execute(
                b"EXPLAIN (ANALYZE, FORMAT JSON) " + statement.sql.encode(), parameters, prepare=True
            ).fetchone()
            assert explained
            reads += reads_of(explained["QUERY PLAN"][0]["Plan"])
            rows = connection.execute(statement.sql.encode(), parameters).fetchall()


SCANNED: Final = """
SELECT relname AS table, pg_stat_get_xact_tuples_returned(oid) AS rows
FROM pg_class
WHERE relname = 'dead_letters' AND relnamespace = 'rollbook'::regnamespace
"""
"""How many rows sequential scans have returned in this transaction."""

PLANS: Final = pytest.mark.parametrize("plans", ["force_custom_plan", "force_generic_plan"])


@PLANS
@pytest.mark.parametrize("read", READS)
def test_a_read_looks_at_few_users(connection: psycopg.Connection[dict[str, Any]], read: str, plans: str) -> None:
    reads = reads_by(connection, READS[read](), plans)

    # the text of each dead letter is searched for a person's ids; how many there are does not depend on the users
    tables = {one.table for one in reads if one.node == "Seq Scan" and one.rows > MOST_ROWS}
    assert tables <= ({"dead_letters"} if read.startswith("export") else set())
    for table in {"users", "jobs", "dead_letters", "deferred_jobs", "deliveries"} - tables:
        assert sum(one.rows for one in reads if one.table == table) <= MOST_ROWS


@PLANS
@pytest.mark.parametrize("read", BOUNDED)
def test_rule_35_a_read_without_an_index_is_bounded(
    connection: psycopg.Connection[dict[str, Any]], read: str, plans: str
) -> None:
    reads = reads_by(connection, BOUNDED[read](), plans)

    assert [
        one for one in reads if one.node == "Seq Scan" and one.table == "users" and one.rows > MAX_SCANNED + 1
    ] == []
    # the scan, and once more to see where it ended; of a count the sample
    for table in ("users", "jobs", "dead_letters", "deferred_jobs", "deliveries"):
        assert sum(one.rows for one in reads if one.table == table) <= 3 * (MAX_SCANNED + 1)


@pytest.mark.parametrize(
    ("index", "reads"),
    [
        ("updated_at", [users("-updated_at"), users("updated_at", UserCursor("updated_at", 0, "0005", "x"))]),
        ("created_at", [users("created_at"), users("-created_at")]),
        ("prefix", [users(prefix="copy-"), users(prefix="copy-1234", sort="id")]),
        ("phone_number", [users(where={"phone_number": "+141555523"})]),
    ],
)
def test_rule_35_an_optional_index_is_used_while_it_is_there(
    connection: psycopg.Connection[dict[str, Any]],
    database_url: str,
    index: str,
    reads: list[Callable[[], Query[Any]]],
) -> None:
    was_there = not create_index(database_url, index)

    for plans in ("force_custom_plan", "force_generic_plan"):
        for which in reads:
            assert sum(one.rows for one in reads_by(connection, which(), plans) if one.table == "users") <= MOST_ROWS

    drop_index(database_url, index)
    for which in reads:
        with pytest.raises(NotConfigured, match=f"--index {index}"):
            reads_by(connection, which(), "auto")
    if was_there:
        create_index(database_url, index)
        connection.execute("VACUUM ANALYZE rollbook.users")


@PLANS
def test_rule_35_users_are_found_by_an_address_without_any_optional_index(
    connection: psycopg.Connection[dict[str, Any]], database_url: str, plans: str
) -> None:
    for index in ("phone_number", "prefix", "created_at"):
        drop_index(database_url, index)
    for which in (
        lambda: queries.find_all_users(UserFilter(where={"email": "COPY-17@example.com"})),
        users("-created_at", where={"email": "copy-19@example.com"}),
        lambda: queries.count_users(UserFilter(where={"email": "copy-19@example.com"})),
    ):
        assert sum(one.rows for one in reads_by(connection, which(), plans) if one.table == "users") <= 10
