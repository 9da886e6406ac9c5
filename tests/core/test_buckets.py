"""Jobs that are applied over several Postgres, without two-phase commit, end as the reference says.

It is a model: buckets, commits and workers are Python, and the facts, the join and the projection are those of real
workers. Nothing of it is built; `docs/explanation/beyond-one-postgres.md` is the plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.buckets.mistakes import MISTAKES
from tests.support.buckets.placement import bucket_number
from tests.support.buckets.reading import world_of_buckets
from tests.support.buckets.schedules import play, play_with_a_death
from tests.support.buckets.workers import Workers
from tests.support.builders import (
    add_push_token,
    identify,
    mark_all,
    merge,
    set_preferences,
    trigger,
    update_preferences,
    user,
)
from tests.support.conflicting_jobs import Delivery, deliveries
from tests.support.example_counts import examples

from rollbook_shared.jobs.models import Job
from rollbook_shared.reference.oracle import oracle
from rollbook_shared.reference.world import first_difference

JOBS: Final[Sequence[Job]] = (
    identify("d", at=0, plan="free", d=1),
    identify("b", at=0, b=1),
    add_push_token("d", "push", "x", at=1),
    set_preferences("c", "default", {"channel_types": {"email": False}}, at=1),
    trigger("hello", ["d", user("c", c=1)], actor="b", at=2, channels=("in_app", "email")),
    merge("b", "d", at=3),
    mark_all("d", "seen", at=4),
    merge("a", "b", at=5),
    identify("d", at=6, plan="pro"),
    update_preferences("b", "default", {"workflows": {"hello": False}}, at=6),
    merge("a", "c", at=7),
    trigger("bye", ["c", "d"], actor="a", at=8),
    add_push_token("b", "push", "x", at=9),
)
"""One cluster of four ids, whose root becomes smaller."""
BUCKETS: Final = 7
SCHEDULES: Final = 130


@examples(40)
@given(
    delivery=deliveries(),
    buckets=st.integers(1, 5),
    at_once=st.integers(1, 4),
    chance=st.integers(0, 1 << 32).map(Random),
)
def test_any_order_and_any_deaths_end_as_the_reference_says(
    delivery: Delivery, buckets: int, at_once: int, chance: Random
) -> None:
    workers = Workers(buckets)

    play(workers, delivery.batches, chance, at_once=at_once)

    assert first_difference(world_of_buckets(workers), oracle(delivery.jobs)) is None


def test_a_death_between_any_two_steps_changes_nothing() -> None:
    batches = [[job] for job in JOBS]
    expected = oracle(JOBS)
    steps = 0

    while True:
        workers = Workers(BUCKETS)
        died = play_with_a_death(workers, batches, after=steps)
        assert first_difference(world_of_buckets(workers), expected) is None
        if not died:
            break
        steps += 1

    assert steps > 100


def test_the_schedules_that_show_mistakes_end_as_the_reference_says() -> None:
    assert [seed for seed in range(SCHEDULES) if not _ends_right(Workers, seed)] == []


def test_each_id_of_these_jobs_has_a_bucket_of_its_own() -> None:
    assert len({bucket_number(id_, BUCKETS) for id_ in "abcd"}) == 4


@pytest.mark.parametrize("mistaken", MISTAKES)
def test_a_mistake_in_the_steps_is_noticed(mistaken: type[Workers]) -> None:
    assert any(not _ends_right(mistaken, seed) for seed in range(SCHEDULES))


def _ends_right(kind: type[Workers], seed: int) -> bool:
    """Whether some of the jobs, by three workers of this kind, end as the reference says."""
    chance = Random(seed)
    jobs = chance.sample(JOBS, chance.randint(2, len(JOBS)))
    workers = kind(BUCKETS)
    play(workers, [*([job] for job in jobs), chance.choices(jobs, k=2)], chance, at_once=3)
    return first_difference(world_of_buckets(workers), oracle(jobs)) is None
