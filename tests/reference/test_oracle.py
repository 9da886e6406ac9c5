"""The reference itself: distinct jobs, a history of any length, and quick enough to be asked about a whole life."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from datetime import timedelta

from tests.support.builders import delete, identify, merge, trigger

from rollbook_shared.jobs.models import Job
from rollbook_shared.reference.oracle import oracle

JOBS = 20_000
USERS = 5_000
SECONDS = 10
"""A fifth of the largest run that anyone asks about; it takes about a second of processor time."""


def test_of_several_jobs_with_one_id_the_first_counts() -> None:
    first, second = identify("a", plan="pro", at=2, job="it"), identify("a", plan="free", at=1, job="it")

    assert oracle([first, second]) == oracle([first])
    assert oracle([second, first]) == oracle([second])


def test_the_length_of_the_history_can_be_chosen() -> None:
    jobs: list[Job] = [identify("b", at=0), trigger("hello", ["b"], at=1), merge("a", "b", at=4)]

    longer, shorter = (oracle(jobs, history=timedelta(days=days)) for days in (3, 2))

    assert [row["owner"] for row in longer["messages"].values()] == ["a"]
    assert shorter["messages"] == {}


def test_the_reference_does_not_change_its_jobs() -> None:
    jobs: list[Job] = [identify("a", k={"x": 1}, at=1), identify("b", k={"y": 2}, at=1), merge("a", "b", at=2)]

    oracle(jobs)

    assert jobs == [identify("a", k={"x": 1}, at=1), identify("b", k={"y": 2}, at=1), merge("a", "b", at=2)]


def test_the_reference_handles_a_long_history_quickly() -> None:
    jobs = list(_life(random.Random(1)))
    start = time.process_time()

    world = oracle(jobs)

    assert time.process_time() - start < SECONDS
    assert len(world["users"]) > USERS / 2


def test_a_chain_of_a_thousand_merges_is_followed_and_freed() -> None:
    ids = [f"u{number}" for number in range(1001)]
    # each merge swallows all the ones before, so that the last stands for a thousand ids, a thousand steps away
    chain: list[Job] = [merge(ids[n + 1], ids[n], at=n, job=f"m{n}") for n in range(1000)]

    merged = oracle([*chain, identify("u0", at=2000)])
    freed = oracle([*chain, delete("u1000", at=2000), identify("u0", at=2001)])

    assert (set(merged["users"]), merged["merged"]["u0"]) == ({"u1000"}, "u1000")
    assert (set(freed["users"]), freed["merged"]) == ({"u0"}, {})


def _life(chance: random.Random) -> Iterator[Job]:
    for number in range(JOBS):
        job, at, one, other = f"j{number}", chance.randrange(300), *chance.sample(range(USERS), 2)
        match chance.randrange(20):
            case 0:
                yield merge(f"u{one}", f"u{other}", at=at, job=job)
            case 1:
                yield delete(f"u{one}", at=at, job=job)
            case 2 | 3 | 4 | 5 | 6:
                # a few act in most of what happens
                yield trigger("hello", [f"u{one}", f"u{other}"], actor=f"u{one % 20}", at=at, job=job)
            case _:
                yield identify(f"u{one}", plan=number, at=at, job=job)
