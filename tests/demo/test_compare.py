"""The comparison of the demo finds every corruption of what Postgres shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from random import Random

import psycopg
import pytest

from rollbook_ops.demo.demo_database import DemoDatabase
from rollbook_ops.demo.postgres_world import read_world
from rollbook_ops.demo.progress import count_jobs, count_users, missing_jobs
from rollbook_shared.jobs.codec import encode
from rollbook_shared.reference.differences import difference
from rollbook_shared.reference.generator import SampleHistory, generate_jobs
from rollbook_shared.reference.oracle import oracle
from rollbook_shared.reference.world import World
from rollbook_worker.store import PostgresStore, ReceivedJob

_NOW = 1_795_000_000_000_000


@pytest.fixture(scope="module")
def history() -> SampleHistory:
    return generate_jobs(seed=3, users=60, jobs=300, now=_NOW)


@pytest.fixture(scope="module")
def applied(history: SampleHistory, new_database: Callable[[], str]) -> str:
    """A database to which the jobs were applied, shuffled and with duplicates."""
    url = new_database()
    jobs = [*history.jobs, *history.jobs[:40]]
    Random(5).shuffle(jobs)
    store = PostgresStore(url, erasure_delay=timedelta(days=60))  # the jobs of 45 days arrive in any order
    for at in range(0, len(jobs), 20):
        store.apply([ReceivedJob.of(encode(job)) for job in jobs[at : at + 20]], now=_NOW)
    store.close()
    return url


@pytest.fixture
def database(applied: str) -> Iterator[DemoDatabase]:
    database = DemoDatabase(applied)
    yield database
    database.close()


@pytest.fixture(scope="module")
def expected(history: SampleHistory) -> World:
    return oracle(history.jobs)


def test_a_correct_result_is_equal(database: DemoDatabase, expected: World, history: SampleHistory) -> None:
    world = read_world(database)

    assert difference(expected, world, history.jobs) is None
    assert all(len(section) > 5 for section in (world["users"], world["merged"], world["messages"]))


def test_jobs_are_counted_by_state(database: DemoDatabase, expected: World, history: SampleHistory) -> None:
    counts = count_jobs(database)

    assert (counts.applied, counts.others, counts.dead) == (len(history.jobs), 0, 0)
    assert counts.duplicates == 40
    assert counts.deliveries == len(history.jobs) + 40
    assert count_users(database) == len(expected["users"])


def test_missing_jobs_are_named(database: DemoDatabase, history: SampleHistory) -> None:
    assert missing_jobs(database, [history.jobs[0].id, "demo-lost"]) == ["demo-lost"]


# In the order of the sections' names, in which they are compared: an earlier corruption does not hide a later one.
@pytest.mark.parametrize(
    ("section", "corruption"),
    [
        ("users", "UPDATE rollbook.users SET profile = profile || '{\"p.seats\": 9999}' WHERE id = %(users)s"),
        ("messages", "DELETE FROM rollbook.messages WHERE id::text = %(messages)s"),
        ("activities", "DELETE FROM rollbook.activities WHERE id::text = %(activities)s"),
    ],
)
def test_a_corrupted_row_is_found_and_the_jobs_of_its_user_named(
    section: str, corruption: str, applied: str, database: DemoDatabase, expected: World, history: SampleHistory
) -> None:
    with psycopg.connect(applied) as connection:
        alone = connection.execute(
            "SELECT id FROM rollbook.current_users JOIN rollbook.users USING (id) WHERE cluster_root IS NULL LIMIT 1"
        ).fetchone()
        assert alone is not None
        rows = {"users": alone[0], "messages": min(expected["messages"]), "activities": min(expected["activities"])}
        assert connection.execute(corruption, rows).rowcount == 1

    found = difference(expected, read_world(database), history.jobs)

    assert found is not None
    assert found.description.startswith(f"{section}['{rows[section]}']")
    assert found.jobs
