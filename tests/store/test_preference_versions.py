"""Versions of preference sets: a write reads each of them once, however many a set has."""

from __future__ import annotations

from typing import Any

import psycopg
from tests.support.builders import set_preferences, update_preferences
from tests.support.producer.applied_jobs import NOW

from rollbook_shared.database.statements import load
from rollbook_shared.domain.stamps import microseconds
from rollbook_shared.jobs.codec import encode
from rollbook_worker import store as package
from rollbook_worker.store import PostgresStore, ReceivedJob

USERS = [f"u{number}" for number in range(20)]
VERSIONS = 40


def rows_read(plan: dict[str, Any]) -> float:
    """Of the table, by all nodes of a plan."""
    read = 0.0
    if plan.get("Relation Name") == "preference_set_versions":
        read = (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"]
    return read + sum(map(rows_read, plan.get("Plans", ())))


def test_a_write_reads_each_version_once(database_url: str) -> None:
    store = PostgresStore(database_url)
    jobs = [
        set_preferences(user_id, "default", {"workflows": {"w": bool(at % 2)}}, at=at)
        for at in range(VERSIONS)
        for user_id in USERS
    ]
    store.apply([ReceivedJob.of(encode(job)) for job in jobs], now=microseconds(NOW))
    store.apply(
        [ReceivedJob.of(encode(update_preferences("u1", "default", {"categories": {"c": False}}, at=3, plus=1)))],
        now=microseconds(NOW),
    )
    store.close()

    statement = load(package.__name__, "preference_sets")["select_changed"]
    with psycopg.connect(database_url) as connection:
        found = connection.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}".encode(), {"ids": USERS}).fetchone()
        changed = connection.execute(statement, {"ids": USERS}).fetchall()

    assert found
    assert rows_read(found[0][0]["Plan"]) == VERSIONS * len(USERS) + 1
    assert changed == [("u1", "default")]
