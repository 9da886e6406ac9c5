"""What a feed costs (rule 22): one statement, whose page comes from the index and reads little more than it shows.

The counts look at every message of the user on the channel, and at no other's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import psycopg
import pytest
from tests.support.builders import delete, mark, mark_all, merge, set_preferences, trigger, user
from tests.support.partitions import table_of
from tests.support.producer.applied_jobs import NOW

from rollbook import FeedStatus
from rollbook.queries import MessageSelection
from rollbook.queries.messages import MESSAGES
from rollbook.queries.page_cursor import TOP
from rollbook_shared.domain.deterministic_ids import message_id
from rollbook_shared.domain.stamps import microseconds
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Job
from rollbook_worker.store import PostgresStore, ReceivedJob

LIMIT: Final = 21
TYPES: Final = {
    "limit": "integer",
    "count_newest": "integer",
    "id": "uuid",
    "newer_than_id": "uuid",
    "categories": "text[]",
    "has_tenant": "boolean",
    "asks_of_trigger": "boolean",
    "data": "jsonb",
}
"""Of the statements' parameters; the others are texts."""
ANNS: Final = 2_000
NEWEST: Final = 100
HISTORY: Final = {"messages", "activities", "triggers"}

Row = tuple[Any, ...]


class Read(NamedTuple):
    """What one node of a plan read of a table."""

    node: str
    table: str
    rows: float


def crowd() -> Iterator[Job]:
    """20,000 messages of 200 others; 2,000 of `ann`, half of them addressed to two guests who became part of her, one
    after the other.
    """
    others = [user(f"other-{number}", preferences={"default": {}}) for number in range(200)]
    for number in range(100):
        yield trigger("news", others, at=10, plus=number * 1_000, job=f"news-{number:04}")
    for name, count in (("ann", 1_000), ("guest-1", 500), ("guest-2", 500)):
        for number in range(count):
            yield trigger("hello", [user(name)], actor="other-1", at=10, plus=number * 50, job=f"{name}-{number:04}")
    read = [message_id(f"ann-{number:04}", "ann", "in_app") for number in range(0, 1_000, 2)]
    yield mark(read, "read", at=11)
    yield mark([message_id("ann-0000", "ann", "in_app")], "seen", at=11, user_id="ann")
    yield mark_all("guest-1", "unseen", at=11)
    yield merge("ann", "guest-1", at=12)
    yield merge("ann", "guest-2", at=13)
    yield delete("other-2", at=13)
    yield set_preferences("other-3", "default", {"workflows": {"hello": False}}, at=9)


@pytest.fixture(scope="module")
def connection(database_url: str) -> Iterator[psycopg.Connection[Row]]:
    store = PostgresStore(database_url)
    jobs = [ReceivedJob.of(encode(job)) for job in crowd()]
    for start in range(0, len(jobs), 200):
        store.apply(jobs[start : start + 200], now=microseconds(NOW))
    store.close()
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("ANALYZE")
        yield connection


Explain = Callable[..., list[Read]]


@pytest.fixture(params=["for these values", "for any values"])
def explain(request: pytest.FixtureRequest, connection: psycopg.Connection[Row]) -> Explain:
    """Run a statement, and say what it read. Postgres plans it once for these values, as for the first few executions
    on a connection, and once for any, as it may do later.
    """
    mode = "force_custom_plan" if request.param == "for these values" else "force_generic_plan"

    def explain(statement: str, user_id: str, status: FeedStatus | None = "all") -> list[Read]:
        which = MessageSelection(channel="in_app", status=status)
        asked = {"user_id": user_id, "limit": LIMIT, "stamp": TOP.time, "id": TOP.id, **which.parameters()}
        asked |= {"count_newest": NEWEST}
        sql = re.sub(r"%\((\w+)\)s", lambda name: f"${[*asked].index(name[1]) + 1}", MESSAGES[statement])
        types = ", ".join(TYPES.get(name, "text") for name in asked)
        with connection.transaction(force_rollback=True):
            connection.execute(f"SET LOCAL plan_cache_mode = {mode}".encode())
            connection.execute(f"PREPARE asked ({types}) AS {sql}".encode())
            values = ", ".join("NULL" if value is None else f"'{value}'" for value in asked.values())
            found = connection.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE asked ({values})".encode()).fetchone()
            connection.execute("DEALLOCATE asked")
        assert found
        return list(reads_of(found[0][0]["Plan"]))

    return explain


def reads_of(node: dict[str, Any]) -> Iterator[Read]:
    if table := node.get("Relation Name"):
        removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
        yield Read(node["Node Type"], table_of(table), (node["Actual Rows"] + removed) * node["Actual Loops"])
    for child in node.get("Plans", ()):
        yield from reads_of(child)


def rows_of(reads: list[Read], *tables: str) -> float:
    return sum(read.rows for read in reads if read.table in tables)


@pytest.mark.parametrize("user_id", ["ann", "other-1", "other-3", "nobody"])
def test_rule_22_a_feed_scans_no_history(explain: Explain, user_id: str) -> None:
    reads = explain("feed", user_id)

    assert [read for read in reads if read.node == "Seq Scan" and read.table in HISTORY] == []


@pytest.mark.parametrize("status", ["all", None, "unseen"])
def test_rule_22_a_page_reads_its_own_length_from_each_id_of_the_user(
    explain: Explain, status: FeedStatus | None
) -> None:
    reads = explain("page", "ann", status)

    # each of the three ids gives up to a page, and one row more, at which it stops
    assert LIMIT <= rows_of(reads, "messages") <= 3 * (LIMIT + 1) + 3
    assert rows_of(reads, "triggers") <= 3 * (LIMIT + 1)


def test_rule_22_a_filtered_page_reads_what_it_passes_over(explain: Explain) -> None:
    reads = explain("page", "ann", "unread")

    # every other message of ann is read; those of her guests are not
    assert LIMIT <= rows_of(reads, "messages") <= 4 * (LIMIT + 1) + 3


def test_rule_22_counts_read_the_messages_of_the_user_alone(explain: Explain) -> None:
    reads = explain("feed", "ann")

    assert ANNS <= rows_of(reads, "messages") <= ANNS + 3 * (LIMIT + 1) + 3


def test_rule_22_counts_of_the_newest_messages_read_no_more_than_these_from_each_id_of_the_user(
    explain: Explain,
) -> None:
    reads = explain("feed_with_counts_of_newest", "ann")

    assert NEWEST <= rows_of(reads, "messages") <= 3 * (NEWEST + 1) + 3 * (LIMIT + 1) + 3
