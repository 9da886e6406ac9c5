"""Every rule about the state, case by case: in the reference, and in the core in every order of delivery."""

from __future__ import annotations

import pytest
from tests.rules.cases import CASES
from tests.support.delivery_orders import orders
from tests.support.facts import single_facts_of
from tests.support.projected_world import world_of
from tests.support.rule_case import Case, seen

from rollbook_shared.reference.oracle import oracle
from rollbook_worker.core import Registers, join

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)


def test_case_names_are_unique() -> None:
    names = [case.rule for case in CASES]

    assert len(names) == len(set(names))


@each_case
def test_the_reference_keeps(case: Case) -> None:
    world = oracle(case.given)

    assert seen(world, case.then) == case.then


@each_case
def test_the_core_keeps_in_every_order(case: Case) -> None:
    for order in orders(case.given):
        kept: Registers = {}

        for job in (*order, order[0]):
            join(kept, single_facts_of(job))

        assert seen(world_of(kept.values()), case.then) == case.then, [job.id for job in order]
