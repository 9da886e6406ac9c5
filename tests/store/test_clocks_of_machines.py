"""Postgres' clock decides what cannot be undone: a machine whose clock is wrong erases, releases, forgets and lets in
nothing that another would not.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Final

import pytest
from tests.support.stores import OnPostgres

from rollbook_shared.domain.stamps import new_job_id
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Delete, Identify, Job, UserUpdate
from rollbook_worker.celery_ext.batching import Batch
from rollbook_worker.maintenance.erase import erase
from rollbook_worker.maintenance.periodic import periodic_tasks
from rollbook_worker.store import PostgresStore, ReceivedJob
from rollbook_worker.tasks import apply_batch

HOUR: Final = 3_600_000_000
MINUTE: Final = HOUR // 60


@pytest.fixture
def store(on_postgres: OnPostgres) -> OnPostgres:
    on_postgres.reset()
    return on_postgres


@pytest.fixture(params=[3, 25, 8 * 24, 730 * 24, -25], ids=lambda hours: f"{hours} h ahead")
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose clock is so far ahead of Postgres'."""
    ahead: int = request.param * 3_600
    real, real_ns = time.time, time.time_ns
    monkeypatch.setattr(time, "time", lambda: real() + ahead)
    monkeypatch.setattr(time, "time_ns", lambda: real_ns() + ahead * 1_000_000_000)


def identified(user_id: str, at: int, job: str, *, deferred: bool = False) -> Identify:
    return Identify(id=job, occurred_at=at, user=UserUpdate(id=user_id, traits={"plan": job}), deferred=deferred)


def apply(store: OnPostgres, *jobs: Job) -> list[str]:
    return [outcome.state.value for outcome in store.store.apply([ReceivedJob.of(encode(job)) for job in jobs])]


def maintain(store: OnPostgres) -> None:
    for task in periodic_tasks(store.store):
        while task.work():
            pass


@pytest.mark.usefixtures("machine")
def test_maintenance_erases_releases_and_forgets_nothing_too_early(store: OnPostgres) -> None:
    now = store.store.now()
    apply(
        store,
        identified("ann", now - 2 * HOUR, "one"),
        Delete(id="gone", occurred_at=now - MINUTE, user_id="ann"),
        identified("bo", now + 2 * HOUR, "later", deferred=True),
    )
    store.store.apply([ReceivedJob.of("junk")])

    maintain(store)

    assert store.connection.execute("SELECT id FROM rollbook.users").fetchall() == [("ann",)]
    assert store.connection.execute("SELECT count(*) FROM rollbook.erasure_receipts").fetchone() == (0,)
    assert set(store.ledger()) == {"one", "gone", "later"}
    assert store.deferred() == ["later"]
    assert len(store.dead()) == 1


@pytest.mark.usefixtures("machine")
def test_maintenance_does_what_is_due(store: OnPostgres) -> None:
    now = store.store.now()
    gone = Delete(id="two", occurred_at=now - 25 * HOUR, user_id="ann")
    apply(store, identified("ann", now - 30 * HOUR, "one"), gone)
    store.connection.execute(
        "INSERT INTO rollbook.deferred_jobs VALUES ('due', now(), %s, '{bo}', 0)",
        (encode(identified("bo", now, "due")),),
    )

    maintain(store)

    assert store.connection.execute("SELECT id FROM rollbook.users").fetchall() == [("bo",)]
    assert store.deferred() == []


@pytest.mark.usefixtures("machine")
def test_a_worker_lets_no_stamp_of_the_future_in(store: OnPostgres) -> None:
    now = store.store.now()

    states = apply(store, identified("ann", now + 10 * MINUTE, "early"), identified("ann", now + 4 * MINUTE, "skewed"))

    assert states == ["deferred", "applied"]


@pytest.mark.usefixtures("machine")
def test_erasing_at_once_is_stamped_by_postgres(store: OnPostgres) -> None:
    now = store.store.now()
    apply(store, identified("ann", now - HOUR, "one"))

    erase(store.store, "ann")

    (stamp,) = store.connection.execute("SELECT max(stamp) FROM rollbook.lifecycle_events").fetchone() or ("",)
    assert abs(int(stamp[:14], 16) - now) < MINUTE


@pytest.mark.usefixtures("machine")
def test_the_task_of_a_worker_gives_no_time_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[object] = []

    class Store:
        def apply(self, arrivals: object, **options: object) -> list[object]:
            given.append(options)
            return []

    monkeypatch.setattr("rollbook_worker.tasks.store", Store)

    apply_batch(None, Batch(["{}"]))

    assert given == [{}]


def test_a_job_that_is_minutes_late_is_compared_with_receipts(store: OnPostgres) -> None:
    """Also where another process erases earlier than this worker expects."""
    now = store.store.now()
    apply(store, identified("ann", now - HOUR, "one"), Delete(id="two", occurred_at=now - 40 * MINUTE, user_id="ann"))
    hasty = PostgresStore(store.url, erasure_delay=timedelta(minutes=30))
    assert hasty.cleanup.erase_deleted_users() == 1
    hasty.close()

    apply(store, identified("ann", now - 50 * MINUTE, new_job_id(now)))

    assert store.world()["users"] == {}
