"""Rule 29: a job that was asked for later is kept in the store until then, takes effect once, and hurts no other."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, Final

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.builders import NOW, day, delete, identify, trigger
from tests.support.conflicting_jobs import Delivery, deliveries, timestamps
from tests.support.example_counts import examples
from tests.support.stores import OnPostgres, Subject, arrive
from tests.support.waits import DEADLINE_SECONDS

from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Job
from rollbook_shared.reference.oracle import oracle
from rollbook_shared.reference.world import first_difference
from rollbook_worker.core import Facts, facts_of
from rollbook_worker.store import PostgresStore

SECOND: Final = 1_000_000
TOLERANCE: Final = 300 * SECOND
JOBS: Final = 1_000
DISPATCHERS: Final = 4


def later(job: Job) -> Job:
    return job.model_copy(update={"deferred": True})


def ids(subject: Subject) -> set[str]:
    return set(subject.world()["users"])


@pytest.fixture
def store(on_postgres: OnPostgres) -> OnPostgres:
    on_postgres.reset()
    return on_postgres


def test_a_deferred_job_is_kept_even_if_it_is_due_in_a_microsecond(subject: Subject) -> None:
    (outcome,) = arrive(subject, encode(later(identify("a", at=1, job="it"))), now=day(1) - 1)

    assert outcome.state.value == "deferred"
    assert (subject.deferred(), subject.ledger()["it"][0], ids(subject)) == (["it"], "deferred", set())


def test_a_deferred_job_that_arrives_when_due_is_applied_at_once(subject: Subject) -> None:
    (outcome,) = arrive(subject, encode(later(identify("a", at=1))), now=day(1))

    assert outcome.state.value == "applied"
    assert (subject.deferred(), ids(subject)) == ([], {"a"})


def test_a_deferred_job_takes_its_place_in_the_order_by_its_due_time(subject: Subject) -> None:
    arrive(subject, encode(later(trigger("welcome", ["ann", "bo"], at=3, job="it"))), now=day(0))
    meanwhile: list[Job] = [identify("ann", at=1), identify("bo", at=1), delete("bo", at=2)]
    arrive(subject, *map(encode, meanwhile), now=day(2))

    subject.release_due(now=day(3))

    assert [message["owner"] for message in subject.world()["messages"].values()] == ["ann"]
    assert subject.ledger()["it"] == ("applied", 0, {"skipped": ["bo"]})


def test_a_deferred_job_sent_again_is_a_duplicate_and_keeps_its_first_due_time(subject: Subject) -> None:
    first, again = (later(identify("a", at=at, job="it")) for at in (1, 2))

    arrive(subject, encode(first), now=day(0))
    (outcome,) = arrive(subject, encode(again), now=day(0))

    assert outcome.state.value == "duplicate"
    assert subject.release_due(now=day(1)) == 1


def test_a_deferred_bulk_job_with_only_invalid_users_is_rejected_when_due(subject: Subject) -> None:
    bad = f'{{"v":1,"kind":"bulk_identify","id":"it","occurred_at":{day(1)},"deferred":true,"users":[{{"id":""}}]}}'
    arrive(subject, bad, now=day(0))

    released = subject.release_due(now=day(1))

    assert (released, subject.ledger()["it"][0]) == (1, "rejected")


@examples(60)
@given(delivery=deliveries(), data=st.data(), arrived=timestamps, released=timestamps)
def test_deferred_jobs_converge_too(
    delivery: Delivery, data: st.DataObject, arrived: int, released: int, subject: Subject
) -> None:
    """At each time, the jobs due by then are applied, and no others; in the end the state is that of all jobs."""
    subject.reset()
    for_later = data.draw(st.sets(st.sampled_from([job.id for job in delivery.jobs]))) if delivery.jobs else set()
    jobs = {job.id: later(job) if job.id in for_later else job for job in delivery.jobs}
    released = max(arrived, released)

    for batch in delivery.batches:
        arrive(subject, *(encode(jobs[job.id]) for job in batch), now=arrived)
    subject.release_due(now=released)

    due = [job for job in jobs.values() if _has_happened(job, arrived, released)]
    assert first_difference(subject.world(), oracle(due)) is None
    assert subject.deferred() == sorted(jobs.keys() - {job.id for job in due})
    subject.release_due(now=NOW)
    assert first_difference(subject.world(), oracle(jobs.values())) is None


def _has_happened(job: Job, arrived: int, released: int) -> bool:
    return job.occurred_at <= max(released, arrived if job.deferred else arrived + TOLERANCE)


def test_each_of_many_due_jobs_takes_effect_once_under_several_dispatchers(store: OnPostgres) -> None:
    jobs = [
        later(
            identify(f"u{n % 50}", at=1, plus=n, job=f"j{n}", n=n) if n % 2 else trigger("w", ["u1"], at=2, job=f"j{n}")
        )
        for n in range(JOBS)
    ]
    arrive(store, *map(encode, jobs), now=day(0))

    start = Barrier(DISPATCHERS)
    with ThreadPoolExecutor(DISPATCHERS) as dispatchers:
        shares = list(dispatchers.map(lambda _: _dispatch(store, start), range(DISPATCHERS)))

    assert sum(shares) == JOBS
    assert min(shares) > 0
    assert store.deferred() == []
    assert {state for state, _, _ in store.ledger().values()} == {"applied"}
    assert first_difference(store.world(), oracle(jobs)) is None


def _dispatch(store: OnPostgres, start: Barrier) -> int:
    """Release what is due until nothing is left, as the maintenance loop does; return how many this one released.

    The dispatchers meet at the same users. On a busy machine one may find a job held up by another for longer than the
    first, short try allows; it is then left to `release_blocked`.
    """
    own = PostgresStore(store.url)
    own.dispatcher.release_due(now=0)  # so that it is connected
    start.wait(DEADLINE_SECONDS)
    released = 0
    with psycopg.connect(store.url, autocommit=True) as looking:
        while looking.execute("SELECT EXISTS (SELECT FROM rollbook.deferred_jobs)").fetchone() == (True,):
            released += own.dispatcher.release_due(now=NOW, limit=20)
            released += own.dispatcher.release_blocked(now=NOW)
    own.close()
    return released


def test_a_dispatcher_skips_jobs_that_another_one_has_locked(store: OnPostgres) -> None:
    arrive(store, *(encode(later(identify(id_, at=1, job=id_))) for id_ in "ab"), now=day(0))

    with psycopg.connect(store.url) as other:
        other.execute("SELECT 1 FROM rollbook.deferred_jobs WHERE id = 'a' FOR UPDATE")
        released = store.release_due(now=NOW)

    assert (released, store.deferred(), ids(store)) == (1, ["a"], {"b"})


def test_jobs_of_a_dispatcher_that_died_are_released_by_another(store: OnPostgres) -> None:
    arrive(store, encode(later(identify("a", at=1))), now=day(0))
    with psycopg.connect(store.url) as dying:
        dying.execute("SELECT 1 FROM rollbook.deferred_jobs FOR UPDATE")
        dying.execute("DELETE FROM rollbook.deferred_jobs")
        dying.rollback()

    assert store.release_due(now=NOW) == 1
    assert ids(store) == {"a"}


def test_a_deferred_text_that_is_no_job_becomes_a_dead_letter_and_blocks_no_other(store: OnPostgres) -> None:
    arrive(store, *(encode(later(identify(id_, at=1, job=id_))) for id_ in "abc"), now=day(0))
    store.connection.execute("UPDATE rollbook.deferred_jobs SET body = '{\"v\":2}' WHERE id = 'a'")

    released = store.release_due(now=NOW)

    assert (released, ids(store), store.deferred()) == (3, {"b", "c"}, [])
    assert store.dead() == [("a", "unknown_version")]
    assert set(store.ledger()) == {"b", "c"}


@pytest.fixture
def cursed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of users that Postgres cannot hold."""
    ids: list[str] = []

    def facts(job: Any) -> Iterable[Facts]:
        if job.kind == "identify" and job.user.id in ids:
            raise psycopg.DataError("a value of Ann's")
        return facts_of(job)

    monkeypatch.setattr("rollbook_worker.store.postgres.facts_of", facts)
    return ids


def test_a_deferred_job_that_postgres_cannot_store_becomes_a_dead_letter_alone(
    store: OnPostgres, cursed: list[str]
) -> None:
    names = [f"u{number:02}" for number in range(30)]
    arrive(store, *(encode(later(identify(id_, at=1, job=id_))) for id_ in names), now=day(0))
    cursed += ["u00", "u17", "u29"]

    while store.release_due(now=NOW):
        pass

    assert ids(store) == set(names) - set(cursed)
    assert store.dead() == [(id_, "unstorable") for id_ in cursed]
    assert store.deferred() == []


def test_a_dead_deferred_job_can_be_corrected_and_sent_again_under_its_id(store: OnPostgres, cursed: list[str]) -> None:
    arrive(store, encode(later(identify("a", at=1, job="it"))), now=day(0))
    cursed.append("a")
    store.release_due(now=NOW)

    (outcome,) = arrive(store, encode(later(identify("b", at=1, job="it"))), now=NOW)

    assert outcome.state.value == "applied"
    assert ids(store) == {"b"}
