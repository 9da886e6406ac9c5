"""Identify stamps (rule 8: who existed when) are in the user's row; many of them move to the identify log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.builders import DAY, NOW, add_push_token, day, delete, identify, merge
from tests.support.conflicting_jobs import Delivery, deliveries, job_sets, timestamps
from tests.support.example_counts import examples
from tests.support.stores import OnPostgres

from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Job
from rollbook_shared.reference.oracle import oracle
from rollbook_shared.reference.world import first_difference
from rollbook_worker.store import PostgresStore, ReceivedJob, fact_writer
from rollbook_worker.store.retry import Blocked

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


def test_stamps_of_a_cluster_member_are_not_dropped_by_writes(subject: OnPostgres) -> None:
    arrive(subject.store, merge("a", "b", at=0))
    for at in range(100):
        arrive(subject.store, identify("b", at=at + 1))

    assert len({*listed(subject), *moved(subject)}) == 99


def test_compaction_drops_stamps_of_a_cluster_member_that_can_no_longer_decide_anything(subject: OnPostgres) -> None:
    arrive(subject.store, merge("a", "b", at=0), delete("a", at=50, plus=1))
    for at in range(1, 101):
        arrive(subject.store, identify("b", at=at))
    before = subject.world()

    dropped = subject.store.cleanup.compact_identify_log(now=NOW)

    assert dropped > 5
    assert len(moved(subject)) == 1
    assert min(listed(subject)) > moved(subject)[0][:14] == f"{day(51):014x}"
    assert subject.world() == before
    assert subject.store.cleanup.compact_identify_log(now=NOW) == 0


def test_compaction_drops_overwritten_changes_of_push_tokens_of_a_cluster_member(subject: OnPostgres) -> None:
    arrive(subject.store, merge("a", "b", at=0))
    for at in range(1, 41):
        arrive(subject.store, add_push_token("b", "push", "token", at=at))
    before = subject.world()

    subject.store.cleanup.compact_identify_log(now=NOW)

    assert subject.connection.execute("SELECT count(*) FROM rollbook.push_token_changes").fetchone() == (1,)
    arrive(subject.store, identify("b", at=250))
    assert subject.world()["users"]["a"]["channel_data"] == before["users"]["a"]["channel_data"]


def test_compaction_keeps_the_stamps_of_a_cluster_member_that_jobs_may_still_arrive_before(
    subject: OnPostgres,
) -> None:
    hour = DAY // 24
    arrive(subject.store, merge("a", "b", at=0))
    for at in range(100):
        arrive(subject.store, identify("b", at=300, plus=at - hour))

    assert subject.store.cleanup.compact_identify_log(now=NOW) == 0
    assert len({*listed(subject), *moved(subject)}) == 99


@examples(100)
@given(jobs=job_sets, horizon=timestamps, characters=room_for_lists)
def test_compaction_at_any_time_changes_nothing_that_readers_see(
    jobs: list[Job],
    horizon: int,
    characters: int,
    on_postgres: OnPostgres,
    store_with: Callable[[timedelta], PostgresStore],
) -> None:
    """Whatever jobs arrive after it that are not from before the horizon, and whatever is erased then."""
    on_postgres.reset()
    settled = horizon + DAY

    with room(characters):
        arrive(store_with(NEVER), *(job for job in jobs if job.occurred_at < horizon))
        on_postgres.store.cleanup.compact_identify_log(now=settled, limit=2)
        for job in jobs:
            if job.occurred_at >= horizon:
                arrive(store_with(NEVER), job)
        on_postgres.store.cleanup.erase_deleted_users(now=settled)
        on_postgres.store.cleanup.compact_identify_log(now=settled, limit=2)

    assert first_difference(on_postgres.world(), oracle(jobs)) is None


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


def test_a_cluster_that_cannot_be_compacted_now_delays_no_other(subject: OnPostgres) -> None:
    for root in "ac":
        arrive(subject.store, merge(root, f"{root}-guest", at=0))
        for at in range(1, 41):
            arrive(subject.store, identify(f"{root}-guest", at=at))
    hurried = PostgresStore(subject.url, lock_timeout=timedelta(milliseconds=50))

    with psycopg.connect(subject.url) as other:
        other.execute("SELECT FROM rollbook.users WHERE id = 'a' FOR UPDATE")
        with pytest.raises(Blocked):
            hurried.cleanup.compact_identify_log(now=NOW)

    hurried.close()
    entries = subject.connection.execute("SELECT user_id FROM rollbook.identify_log").fetchall()
    assert {user_id for (user_id,) in entries} == {"a-guest"}
