"""What every store keeps: the rules line by line, and the laws of delivery."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from tests.rules.cases import CASES
from tests.support.builders import NOW, identify
from tests.support.conflicting_jobs import Delivery, deliveries
from tests.support.example_counts import examples
from tests.support.rule_case import Case, seen
from tests.support.stores import OnPostgres, Subject, arrive

from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Job
from rollbook_shared.reference.oracle import oracle
from rollbook_shared.reference.world import first_difference


@pytest.fixture(scope="module")
def on_postgres(on_postgres_elsewhere: OnPostgres) -> OnPostgres:
    """In another schema than the default one, and in a database without that: a name of it in the code is not found."""
    return on_postgres_elsewhere


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)
def test_the_store_keeps(case: Case, subject: Subject) -> None:
    for batches in _deliveries_of(case.given):
        subject.reset()

        for batch in batches:
            arrive(subject, *map(encode, batch), now=NOW)

        assert seen(subject.world(), case.then) == case.then, [[job.id for job in batch] for batch in batches]


@examples(100)
@given(delivery=deliveries())
def test_any_delivery_converges_to_the_reference(delivery: Delivery, subject: Subject) -> None:
    subject.reset()

    for batch in delivery.batches:
        arrive(subject, *map(encode, batch), now=NOW)

    assert first_difference(subject.world(), oracle(delivery.jobs)) is None


def test_each_key_of_a_batch_is_compared_with_the_stored_key_by_itself(subject: Subject) -> None:
    arrive(subject, encode(identify("a", k="known", at=5, job="known")), now=NOW)

    first: list[Job] = [identify("a", k="older", at=3, job="older"), identify("a", m="newer", at=7, job="newer")]
    arrive(subject, *map(encode, first), now=NOW)

    assert subject.world()["users"]["a"]["properties"] == {"k": "known", "m": "newer"}


def _deliveries_of(jobs: Sequence[Job]) -> Iterator[list[list[Job]]]:
    """Together in the given order; one by one in reverse, then all again; shuffled with duplicates."""
    yield [list(jobs)]
    yield [*([job] for job in reversed(jobs)), list(jobs)]
    chance = random.Random(len(jobs))
    for size in (1, 2):
        order = chance.sample([*jobs, *jobs], 2 * len(jobs))
        yield [order[start : start + size] for start in range(0, len(order), size)]
