"""The simulation of families over partitions agrees with what can be reckoned."""

from __future__ import annotations

import random

import pytest
from benchmarks.crossing import figures

FAMILIES = 20_000


@pytest.mark.parametrize(("size", "partitions"), [(2, 16), (3, 4), (5, 16)])
def test_a_family_lies_across_partitions_as_often_as_chance_has_it(size: int, partitions: int) -> None:
    found = figures(size, partitions, FAMILIES, random.Random(1))

    assert found.across == pytest.approx(1 - partitions ** (1 - size), abs=0.01)
    assert found.read == pytest.approx(partitions * (1 - (1 - 1 / partitions) ** size), rel=0.01)


@pytest.mark.parametrize(("size", "partitions"), [(2, 16), (5, 16)])
def test_a_merge_moves_the_one_who_joins_or_all_others(size: int, partitions: int) -> None:
    found = figures(size, partitions, FAMILIES, random.Random(1))

    # one in `size` times the id that joins is the smallest
    expected = (1 - 1 / partitions) * ((size - 1) / size + (size - 1) / size)
    assert found.moved == pytest.approx(expected, rel=0.03)


def test_in_one_partition_nothing_crosses_and_nothing_moves() -> None:
    found = figures(4, 1, 100, random.Random(1))

    assert (found.across, found.read, found.moved) == (0, 1, 0)
