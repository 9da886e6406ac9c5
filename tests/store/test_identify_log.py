"""Identify stamps (rule 8: who existed when) are in the user's row; many of them move to the identify log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.builders import DAY, NOW, day, delete, identify, merge
from tests.support.conflicting_jobs import Delivery, deliveries, job_sets, timestamps
from tests.support.example_counts import examples
from tests.support.stores import OnPostgres

from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Job
from rollbook_shared.reference.oracle import oracle
from rollbook_shared.reference.world import first_difference
from rollbook_worker.store import PostgresStore, ReceivedJob, fact_writer

NEVER: Final = timedelta(days=1_000)
"""Until a delete of the tests has settled."""
room_for_lists: Final = st.sampled_from([0, 25, 50])
"""Characters: none, one or two stamps of the tests."""


@contextmanager
def room(characters: int) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fact_writer, "MAX_IDENTIFY_CHARACTERS", characters)
        yield


@pytest.fixture(scope="module")
def store_with(on_postgres: OnPostgres) -> Iterator[Callable[[timedelta], PostgresStore]]:
    """Stores whose deletes settle after a time."""
    stores: dict[timedelta, PostgresStore] = {}

    def make(settling: timedelta) -> PostgresStore:
        if settling not in stores:
            stores[settling] = PostgresStore(on_postgres.url, erasure_delay=settling)
        return stores[settling]

    yield make
    for store in stores.values():
        store.close()


@pytest.fixture
def subject(on_postgres: OnPostgres) -> OnPostgres:
    on_postgres.reset()
    return on_postgres


def arrive(store: PostgresStore, *jobs: Job) -> None:
    store.apply([ReceivedJob.of(encode(job)) for job in jobs], now=NOW)


def listed(subject: OnPostgres) -> list[str]:
    rows = subject.connection.execute("SELECT identify_stamps FROM rollbook.users").fetchall()
    return [stamp for (seen,) in rows for stamp in seen.split()]


def moved(subject: OnPostgres) -> list[str]:
    rows = subject.connection.execute("SELECT identify_stamps FROM rollbook.identify_log").fetchall()
    return [stamp for (seen,) in rows for stamp in seen.split()]


@examples(100)
@given(delivery=deliveries(), characters=room_for_lists)
def test_any_delivery_converges_with_any_length_of_the_list(
    delivery: Delivery, characters: int, on_postgres: OnPostgres, store_with: Callable[[timedelta], PostgresStore]
) -> None:
    on_postgres.reset()

    with room(characters):
        for batch in delivery.batches:
            arrive(store_with(NEVER), *batch)

    assert first_difference(on_postgres.world(), oracle(delivery.jobs)) is None


@examples(100)
@given(jobs=job_sets, horizon=timestamps, characters=room_for_lists)
def test_dropping_old_stamps_from_full_lists_changes_nothing_that_readers_see(
    jobs: list[Job],
    horizon: int,
    characters: int,
    on_postgres: OnPostgres,
    store_with: Callable[[timedelta], PostgresStore],
) -> None:
    """Once it has settled nothing from before the horizon arrives any more; what arrives comes in any order."""
    on_postgres.reset()

    with room(characters):
        for job in jobs:
            if job.occurred_at < horizon:
                arrive(store_with(NEVER), job)
        for job in jobs:
            if job.occurred_at >= horizon:
                arrive(store_with(timedelta(microseconds=NOW - horizon)), job)

    assert first_difference(on_postgres.world(), oracle(jobs)) is None


@examples(60)
@given(jobs=job_sets, horizon=timestamps, characters=room_for_lists)
def test_erasure_removes_moved_lists_and_keeps_later_stamps(
    jobs: list[Job],
    horizon: int,
    characters: int,
    on_postgres: OnPostgres,
    store_with: Callable[[timedelta], PostgresStore],
) -> None:
    on_postgres.reset()
    settled = horizon + DAY

    with room(characters):
        arrive(store_with(NEVER), *(job for job in jobs if job.occurred_at < horizon))
        on_postgres.store.cleanup.erase_deleted_users(now=settled)
        for job in jobs:
            if job.occurred_at >= horizon:
                arrive(store_with(NEVER), job)
        on_postgres.store.cleanup.erase_deleted_users(now=settled)

    assert first_difference(on_postgres.world(), oracle(jobs)) is None


@pytest.mark.parametrize("characters", [0, fact_writer.MAX_IDENTIFY_CHARACTERS], ids=["moved", "listed"])
def test_erasure_keeps_the_stamps_of_a_reused_id_from_after_the_delete(
    subject: OnPostgres, store_with: Callable[[timedelta], PostgresStore], characters: int
) -> None:
    with room(characters):
        arrive(store_with(NEVER), *(identify("a", at=at, job=f"old{at}") for at in (1, 2, 3)), delete("a", at=4))
        for at in (5, 6, 7, 8):
            arrive(store_with(NEVER), identify("a", at=at, job=f"new{at}"))

    subject.store.cleanup.erase_deleted_users(now=NOW)

    assert sorted(stamp[14:18] for stamp in {*listed(subject), *moved(subject)}) == ["new6", "new7", "new8"]


def test_a_few_identifies_of_a_user_need_no_row_in_the_log(subject: OnPostgres) -> None:
    for at in range(5):
        arrive(subject.store, identify("a", at=at))

    assert (len(listed(subject)), moved(subject)) == (4, [])


def test_a_full_list_moves_to_the_log_and_loses_no_stamp(
    subject: OnPostgres, store_with: Callable[[timedelta], PostgresStore]
) -> None:
    for at in range(100):
        arrive(store_with(NEVER), identify("a", at=at))
        assert sum(map(len, listed(subject))) <= fact_writer.MAX_IDENTIFY_CHARACTERS

    assert len({*listed(subject), *moved(subject)}) == 99  # and the first


def test_old_stamps_of_a_user_without_merges_are_dropped_from_a_full_list(subject: OnPostgres) -> None:
    for at in range(100):
        arrive(subject.store, identify("a", at=at))

    assert moved(subject) == []


def test_stamps_after_the_horizon_are_never_dropped(subject: OnPostgres) -> None:
    hour = DAY // 24
    for at in range(100):
        arrive(subject.store, identify("a", at=300, plus=at - hour))

    assert len({*listed(subject), *moved(subject)}) == 99


def test_stamps_of_a_cluster_member_are_never_dropped(subject: OnPostgres) -> None:
    arrive(subject.store, merge("a", "b", at=0))
    for at in range(100):
        arrive(subject.store, identify("b", at=at + 1))

    assert len({*listed(subject), *moved(subject)}) == 99


def test_the_newest_stamp_is_never_dropped(subject: OnPostgres) -> None:
    with room(0):
        for at in (1, 3, 2):
            arrive(subject.store, identify("a", at=at))
        arrive(subject.store, merge("b", "a", at=0))

    assert subject.world()["users"]["b"]["updated"][:14] == f"{day(3):014x}"


def test_a_redelivered_identify_is_not_listed_again(subject: OnPostgres) -> None:
    jobs = [identify("a", at=at, job=f"j{at}") for at in (1, 2)]
    for _ in range(3):
        arrive(subject.store, *jobs)
        arrive(subject.store, *reversed(jobs))
        subject.connection.execute("DELETE FROM rollbook.jobs")

    assert len(set(listed(subject))) == 1
