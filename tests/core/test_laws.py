"""The laws of convergence: what is kept depends on the set of jobs alone, and means what the reference says."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

from hypothesis import given
from hypothesis import strategies as st
from tests.support.conflicting_jobs import Delivery, deliveries, job_sets
from tests.support.example_counts import examples
from tests.support.facts import single_facts_of
from tests.support.projected_world import world_of

from rollbook_shared.jobs.models import Job
from rollbook_shared.reference.oracle import oracle
from rollbook_shared.reference.world import World, first_difference
from rollbook_worker.core import Fact, Registers, join


@examples(400)
@given(deliveries())
def test_any_delivery_converges_to_the_reference(delivery: Delivery) -> None:
    kept: Registers = {}

    for batch in delivery.batches:
        join(kept, join({}, _facts(batch)).values())

    _assert_same(world_of(kept.values()), oracle(delivery.jobs))


@examples(150)
@given(deliveries(), st.data())
def test_a_partly_written_job_and_its_retry_equal_the_job_applied_once(delivery: Delivery, data: st.DataObject) -> None:
    kept: Registers = {}

    for job in chain.from_iterable(delivery.batches):
        facts = list(single_facts_of(job))
        torn = data.draw(st.lists(st.sampled_from(facts), max_size=4)) if facts else []
        join(kept, torn)  # the worker died when these were written
    join(kept, _facts(delivery.jobs))

    _assert_same(world_of(kept.values()), oracle(delivery.jobs))


@examples(100)
@given(job_sets, st.data())
def test_the_reference_ignores_input_order(jobs: list[Job], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(jobs))

    _assert_same(oracle([*shuffled, *jobs]), oracle(jobs))


@examples(100)
@given(job_sets, st.data())
def test_join_is_commutative(jobs: list[Job], data: st.DataObject) -> None:
    facts = _facts(jobs)
    shuffled = data.draw(st.permutations(facts))

    assert join({}, shuffled) == join({}, facts)


@examples(100)
@given(job_sets, st.data())
def test_join_is_associative(jobs: list[Job], data: st.DataObject) -> None:
    facts = _facts(jobs)
    first, second = sorted(data.draw(st.tuples(*[st.integers(0, len(facts))] * 2)))
    a, b, c = facts[:first], facts[first:second], facts[second:]

    left = join(join(join({}, a), b), join({}, c).values())
    right = join(join({}, a), join(join({}, b), c).values())

    assert left == right


@examples(100)
@given(job_sets, job_sets)
def test_join_is_idempotent(jobs: list[Job], others: list[Job]) -> None:
    ids = {job.id for job in jobs}
    facts = _facts(jobs)
    kept = join(join({}, facts), _facts(job for job in others if job.id not in ids))

    again = join(dict(kept), [*facts, *kept.values()])

    assert again == kept


@examples(150)
@given(job_sets)
def test_overwritten_facts_never_matter(jobs: list[Job]) -> None:
    facts = _facts(jobs)

    without_overwritten = join({}, facts).values()

    _assert_same(world_of(without_overwritten), world_of(facts))


def _facts(jobs: Iterable[Job]) -> list[Fact]:
    return [fact for job in jobs for fact in single_facts_of(job)]


def _assert_same(actual: World, expected: World) -> None:
    assert first_difference(actual, expected) is None
