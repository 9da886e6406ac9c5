"""Rule 44: what is kept of one user is bounded; a job that would pass the bound is a dead letter, and only that one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.support.builders import (
    NOW,
    add_push_token,
    bulk_identify,
    delete,
    identify,
    merge,
    set_preferences,
    update_preferences,
    user,
)
from tests.support.stores import OnPostgres, Subject, arrive
from tests.support.table_contents import tables_with

from rollbook_shared.database.user_sizes import find_sizes
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Job
from rollbook_worker.store import user_sizes

MOST = 300_000
LARGE = "x" * 200_000
"""Postgres compresses it to two thousand bytes."""


def apply(subject: Subject, *jobs: Job) -> list[str]:
    outcomes = arrive(subject, *map(encode, jobs), now=NOW)
    return [outcome.code or outcome.state.value for outcome in outcomes]


@pytest.fixture
def bounded(subject: Subject) -> Subject:
    subject.bound_users(MOST)
    return subject


def workflows(at: int, number: int) -> dict[str, dict[str, bool]]:
    return {"workflows": {f"{'w' * 200}{at}-{n}": False for n in range(number)}}


def keys(*names: str, value: object = LARGE) -> dict[str, Any]:
    return dict.fromkeys(names, value)


GROWING: dict[str, Callable[[int], Job]] = {
    "properties": lambda at: identify("a", at=at, **keys(f"k{at}")),
    "small properties": lambda at: identify("a", at=at, **keys(*(f"k{at}-{n}" for n in range(5_000)), value=1)),
    "channel data": lambda at: identify("a", at=at, channel_data={f"c{at}": {"p": LARGE}}),
    "versions of a preference set": lambda at: set_preferences("a", "default", workflows(at, 800), at=at),
    "changes of a preference set": lambda at: update_preferences("a", "default", workflows(at, 400), at=at),
    "inline": lambda at: bulk_identify(user("a", **keys(f"k{at}")), at=at),
}


@pytest.mark.parametrize("grow", GROWING.values(), ids=GROWING)
def test_a_job_that_would_pass_the_bound_is_dead_and_its_neighbours_are_applied(
    bounded: Subject, grow: Callable[[int], Job]
) -> None:
    assert apply(bounded, grow(1)) == ["applied"]
    before = bounded.world()["users"]["a"]

    found = apply(bounded, identify("b", at=2), grow(2), identify("c", at=2))

    assert found == ["applied", "too_large", "applied"]
    assert bounded.world()["users"]["a"] == before
    assert bounded.world()["users"].keys() == {"a", "b", "c"}
    assert [code for _, code in bounded.dead()] == ["too_large"]


def test_push_tokens_count(bounded: Subject) -> None:
    found: list[str] = []
    for number in range(100):
        found += apply(bounded, add_push_token("a", "push", f"{number:04}" * 1_000, at=number, job=f"j{number}"))

    assert {*found[:60]} == {"applied"}
    assert {*found[80:]} == {"too_large"}


def test_of_two_jobs_in_one_batch_that_pass_the_bound_together_one_is_applied(bounded: Subject) -> None:
    found = apply(bounded, identify("a", at=1, k=LARGE), identify("a", at=2, m=LARGE))

    assert sorted(found) == ["applied", "too_large"]


def test_a_value_that_replaces_a_large_one_is_no_addition(bounded: Subject) -> None:
    for at in range(5):
        assert apply(bounded, identify("a", at=at, k=LARGE + str(at))) == ["applied"]


def test_a_merge_that_would_pass_the_bound_is_dead(bounded: Subject) -> None:
    apply(bounded, identify("a", at=1, k=LARGE), identify("b", at=1, m=LARGE))

    assert apply(bounded, merge("a", "b", at=2)) == ["too_large"]
    assert bounded.world()["users"].keys() == {"a", "b"}


def test_a_merged_user_is_bounded_as_a_whole(bounded: Subject) -> None:
    apply(bounded, identify("a", at=1, k=LARGE), identify("b", at=1), merge("a", "b", at=2))

    assert apply(bounded, identify("b", at=3, m=LARGE)) == ["too_large"]


def test_a_user_above_a_lowered_bound_may_become_smaller_and_be_deleted(subject: Subject) -> None:
    apply(subject, identify("a", at=1, k=LARGE, m=LARGE, n=LARGE))
    subject.bound_users(MOST)

    assert apply(subject, identify("a", at=2, o="one more")) == ["too_large"]
    assert apply(subject, identify("a", at=3, k=None)) == ["applied"]
    assert apply(subject, delete("a", at=4)) == ["applied"]
    assert subject.world()["users"] == {}


@pytest.fixture
def store(on_postgres: OnPostgres) -> Iterator[OnPostgres]:
    on_postgres.reset()
    on_postgres.bound_users(MOST)
    yield on_postgres
    on_postgres.reset()


def test_a_deferred_job_that_would_pass_the_bound_is_dead_when_it_is_due(store: OnPostgres) -> None:
    apply(store, identify("a", at=1, k=LARGE))
    arrive(store, encode(identify("a", at=3, m=LARGE, job="later")), encode(identify("b", at=3)), now=NOW - 10**15)

    store.release_due(now=NOW)

    assert store.dead() == [("later", "too_large")]
    assert set(store.world()["users"]) == {"a", "b"}


def test_rule_11_no_note_of_a_large_user_is_left_after_its_erasure(store: OnPostgres) -> None:
    apply(store, identify("marked-ann", at=1, job="j1", k=LARGE), delete("marked-ann", at=2, job="j2"))
    assert "large_users" in tables_with(store, "marked-ann")

    store.store.cleanup.erase_deleted_users(now=NOW)

    assert tables_with(store, "marked-ann") == []


def test_the_reason_says_which_item_of_the_job_and_both_numbers_and_no_value(store: OnPostgres) -> None:
    apply(store, identify("ann", at=1, k=LARGE))

    apply(store, bulk_identify(user("b"), user("ann", m=LARGE), user("c"), at=2))

    (reason,) = store.connection.execute("SELECT reason FROM rollbook.dead_letters").fetchone() or ("",)
    assert reason.startswith("users[1]: 400,")
    assert reason.endswith("ROLLBOOK_MAX_USER_BYTES allows 300,000")
    assert "ann" not in reason.replace("allows", "")


def test_rows_that_are_not_large_are_not_measured(store: OnPostgres, monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[int] = []

    def note(cursor: object, ids: list[str]) -> object:
        measured.append(len(ids))
        return find_sizes(cursor, ids)  # type: ignore[arg-type]

    monkeypatch.setattr(user_sizes, "find_sizes", note)

    apply(store, *(identify(f"u{number}", at=1, k="x" * 10_000) for number in range(20)))
    apply(store, bulk_identify(*(user(f"u{number}", m=number) for number in range(20)), at=2), delete("u1", at=3))

    assert measured == []
    apply(store, identify("u2", at=4, k=LARGE))
    assert measured == [1]


def test_a_size_is_that_of_the_values_and_not_of_what_postgres_compresses(store: OnPostgres) -> None:
    apply(store, identify("a", at=1, k=LARGE))

    with store.store._transactions._connections.open() as connection, connection.cursor() as cursor:
        (found,) = find_sizes(cursor, ["a"])

    assert found.size > len(json.dumps(LARGE))
