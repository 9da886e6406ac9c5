"""Rule 14 with a window of another length: a setting of the workers, kept by Postgres as by the reference."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from tests.support.builders import identify, merge, trigger
from tests.support.stores import OnPostgres

from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Job
from rollbook_shared.reference.oracle import oracle
from rollbook_worker.store import PostgresStore, ReceivedJob


@pytest.fixture
def subject(database_url: str) -> Iterator[OnPostgres]:
    subject = OnPostgres(database_url)
    subject.reset()
    yield subject
    subject.close()


@pytest.mark.parametrize(("days", "carried"), [(2, ["young"]), (40, ["old", "young"])])
def test_a_merge_transfers_the_configured_days_of_history(subject: OnPostgres, days: int, carried: list[str]) -> None:
    jobs: list[Job] = [
        identify("ann", at=1),
        identify("guest", at=1),
        trigger("old", ["guest"], at=10),
        trigger("young", ["guest"], at=40),
        merge("ann", "guest", at=41),
    ]
    store = PostgresStore(subject.url, history=timedelta(days=days))

    store.apply([ReceivedJob.of(encode(job)) for job in reversed(jobs)], now=time.time_ns() // 1_000)
    store.close()

    world = subject.world()
    assert sorted(row["workflow"] for row in world["messages"].values()) == carried
    assert world["messages"] == oracle(jobs, history=timedelta(days=days))["messages"]
