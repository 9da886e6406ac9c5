"""Outcomes and dead letters are kept for a while (rule 28), and nothing depends on them for longer."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.builders import DAY, NOW, add_push_token, day, delete, identify, merge, trigger
from tests.support.conflicting_jobs import job_sets
from tests.support.example_counts import examples
from tests.support.lock_interleaving import start_while_blocked
from tests.support.stores import OnPostgres, arrive

from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Job
from rollbook_shared.reference.oracle import oracle
from rollbook_shared.reference.world import first_difference
from rollbook_shared.settings import Settings
from rollbook_worker.store import PostgresStore

MALFORMED: Final = "{"


@pytest.fixture
def store(on_postgres: OnPostgres) -> OnPostgres:
    on_postgres.reset()
    return on_postgres


def later(job: Job) -> Job:
    return job.model_copy(update={"deferred": True})


def test_a_finished_job_is_pruned_after_its_retention(store: OnPostgres) -> None:
    arrive(store, encode(identify("a", at=1, job="old")), now=day(10))
    arrive(store, encode(identify("a", at=1, job="new")), now=day(11))

    assert store.store.cleanup.prune_jobs(now=day(17)) == 0
    assert store.store.cleanup.prune_jobs(now=day(17, 1)) == 1
    assert set(store.ledger()) == {"new"}


def test_finished_jobs_are_pruned_in_chunks_oldest_first(store: OnPostgres) -> None:
    for number in range(5):
        arrive(store, encode(identify("a", at=0, job=f"j{number}")), now=day(number))

    assert [store.store.cleanup.prune_jobs(now=NOW, limit=2) for _ in range(4)] == [2, 2, 1, 0]


def test_the_age_of_a_deferred_job_counts_from_its_release(store: OnPostgres) -> None:
    arrive(store, encode(later(identify("a", at=20, job="it"))), now=day(0))

    assert store.store.cleanup.prune_jobs(now=day(19)) == 0
    store.release_due(now=day(20))
    assert [store.store.cleanup.prune_jobs(now=day(at, 1)) for at in (26, 27)] == [0, 1]


def test_deferred_and_cancelled_jobs_are_never_pruned(store: OnPostgres) -> None:
    arrive(store, *(encode(later(identify(id_, at=299, job=id_))) for id_ in ("waits", "cancelled")), now=day(0))
    store.connection.execute("DELETE FROM rollbook.deferred_jobs WHERE id = 'cancelled'")
    store.connection.execute("UPDATE rollbook.jobs SET state = 'cancelled' WHERE id = 'cancelled'")

    assert store.store.cleanup.prune_jobs(now=day(10_000)) == 0
    assert set(store.ledger()) == {"waits", "cancelled"}


def test_dead_letters_are_pruned_in_chunks_after_their_retention(store: OnPostgres) -> None:
    for number in range(3):
        arrive(store, MALFORMED + str(number), now=day(number))

    assert store.store.cleanup.prune_dead_letters(now=day(30)) == 0
    assert [store.store.cleanup.prune_dead_letters(now=day(32, 1), limit=2) for _ in range(3)] == [2, 1, 0]


def test_the_age_of_a_dead_letter_counts_from_its_last_failure(store: OnPostgres) -> None:
    for at in (0, 20):
        arrive(store, MALFORMED, now=day(at))

    assert store.store.cleanup.prune_dead_letters(now=day(40)) == 0
    assert len(store.dead()) == 1


def test_the_settings_bound_the_retention(store: OnPostgres) -> None:
    settings = Settings.from_env(
        {
            "ROLLBOOK_DATABASE_URL": store.url,
            "ROLLBOOK_JOB_RETENTION_DAYS": "0.5",
            "ROLLBOOK_DEAD_LETTER_RETENTION_DAYS": "2",
        }
    )
    brief = PostgresStore.from_settings(settings)
    arrive(store, encode(identify("a", at=0)), MALFORMED, now=day(0))

    assert brief.cleanup.prune_jobs(now=day(0) + DAY // 2 + 1) == 1
    assert [brief.cleanup.prune_dead_letters(now=day(at, 1)) for at in (1, 2)] == [0, 1]
    brief.close()
    assert (Settings().job_retention, Settings().dead_letter_retention) == (timedelta(days=7), timedelta(days=30))


def test_pruning_skips_locked_rows(store: OnPostgres) -> None:
    arrive(store, *(encode(identify("a", at=0, job=id_)) for id_ in ("held", "free")), now=day(0))

    with store.connection.transaction():
        store.connection.execute("SELECT 1 FROM rollbook.jobs WHERE id = 'held' FOR UPDATE")
        assert store.store.cleanup.prune_jobs(now=NOW) == 1

    assert set(store.ledger()) == {"held"}


def test_a_job_whose_row_is_pruned_while_it_is_entered_is_applied(store: OnPostgres) -> None:
    arrive(store, encode(identify("old", at=0, job="it")), now=day(0))
    jobs = [identify("new", at=30, job="it"), identify("other", at=30, job="later-in-order")]

    start_while_blocked(
        store,
        "INSERT INTO rollbook.jobs (id, kind, digest, state, occurred_at, finished_at)"
        " SELECT 'later-in-order', kind, digest, state, occurred_at, finished_at FROM rollbook.jobs",
        lambda: arrive(store, *map(encode, jobs), now=day(30)),  # has met the old job, and waits for the next
        lambda: store.store.cleanup.prune_jobs(now=day(30)),
    )

    assert store.world()["users"].keys() == {"old", "new", "other"}
    assert {id_: state for id_, (state, _, _) in store.ledger().items()} == {
        "it": "applied",
        "later-in-order": "applied",
    }


@pytest.mark.parametrize("statement", ["prune_jobs", "prune_dead_letters"])
def test_a_chunk_is_found_by_index(store: OnPostgres, statement: str) -> None:
    table, index = {
        "prune_jobs": ("jobs", "jobs_finished_at"),
        "prune_dead_letters": ("dead_letters", "dead_letters_failed_at"),
    }[statement]
    conditions = {
        "jobs": "finished_at < now() AND state IN ('applied', 'rejected')",
        "dead_letters": "failed_at < now()",
    }
    column = {"jobs": "finished_at", "dead_letters": "failed_at"}[table]
    with store.connection.transaction(force_rollback=True):
        for other in ("seqscan", "bitmapscan"):  # which are cheaper for the few rows of a test
            store.connection.execute(f"SET LOCAL enable_{other} = off".encode())
        plan = store.connection.execute(
            f"EXPLAIN SELECT id FROM rollbook.{table} WHERE {conditions[table]} ORDER BY {column} LIMIT 1000".encode()
        ).fetchall()

    assert index in str(plan)
    assert "Sort" not in str(plan)


@examples(60)
@given(jobs=job_sets, data=st.data())
def test_rules_23_and_24_hold_when_all_jobs_are_pruned(
    jobs: list[Job], data: st.DataObject, on_postgres: OnPostgres
) -> None:
    on_postgres.reset()
    again = data.draw(st.permutations([*jobs, *jobs]))

    for job in again:
        arrive(on_postgres, encode(job), now=NOW)
        on_postgres.store.cleanup.prune_jobs(now=NOW + 8 * DAY)

    assert on_postgres.ledger() == {}
    assert first_difference(on_postgres.world(), oracle(jobs)) is None


def test_a_trigger_redelivered_a_year_later_makes_no_second_message(store: OnPostgres) -> None:
    jobs: list[Job] = [identify("b", at=1), trigger("hello", ["b"], at=2), merge("a", "b", at=3), delete("c", at=4)]
    arrive(store, *map(encode, jobs), now=day(5))
    before = store.world()
    store.store.cleanup.prune_jobs(now=day(20))

    outcomes = arrive(store, *map(encode, jobs), now=day(400))

    assert {outcome.state.value for outcome in outcomes} == {"applied"}
    assert store.world() == before


def test_of_a_token_that_is_added_daily_few_changes_are_kept(store: OnPostgres) -> None:
    for at in range(30):
        arrive(store, encode(add_push_token("a", "push", "phone", at=at)), now=day(at))
        arrive(store, encode(add_push_token("a", "push", "tablet", at=0, job=f"again-{at}")), now=day(at))

    stamps = store.connection.execute(
        "SELECT token, count(*) FROM rollbook.push_token_changes GROUP BY token ORDER BY token"
    ).fetchall()

    assert [token for token, _ in stamps] == ["phone", "tablet"]
    assert all(count <= 10 for _, count in stamps)
    assert store.world()["users"]["a"]["channel_data"] == {"push": {"tokens": ["tablet", "phone"]}}


def test_a_change_of_a_token_is_kept_while_a_merge_before_the_next_may_arrive(store: OnPostgres) -> None:
    tokens: list[Job] = [add_push_token("a", "push", "phone", at=1, plus=2 * number) for number in range(20)]
    other = add_push_token("b", "push", "other", at=0)
    late = merge("a", "b", at=1, plus=1)

    arrive(store, *map(encode, [*tokens, other]), now=day(1, 100))
    arrive(store, encode(late), now=day(1, 100))

    assert first_difference(store.world(), oracle([*tokens, other, late])) is None
