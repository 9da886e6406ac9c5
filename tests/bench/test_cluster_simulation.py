"""The simulation of clusters over partitions agrees with what can be computed."""

from __future__ import annotations

import random

import pytest
from benchmarks.cluster_simulation import figures

CLUSTERS = 20_000


@pytest.mark.parametrize(("size", "partitions"), [(2, 16), (3, 4), (5, 16)])
def test_a_cluster_spreads_over_partitions_as_often_as_computed(size: int, partitions: int) -> None:
    found = figures(size, partitions, CLUSTERS, random.Random(1))

    assert found.spread_share == pytest.approx(1 - partitions ** (1 - size), abs=0.01)
    assert found.partitions_read == pytest.approx(partitions * (1 - (1 - 1 / partitions) ** size), rel=0.01)


@pytest.mark.parametrize(("size", "partitions"), [(2, 16), (5, 16)])
def test_a_merge_moves_the_id_that_joins_or_all_others(size: int, partitions: int) -> None:
    found = figures(size, partitions, CLUSTERS, random.Random(1))

    # one in `size` times the id that joins is the smallest
    expected = (1 - 1 / partitions) * ((size - 1) / size + (size - 1) / size)
    assert found.ids_moved == pytest.approx(expected, rel=0.03)


def test_with_one_partition_nothing_spreads_or_moves() -> None:
    found = figures(4, 1, 100, random.Random(1))

    assert (found.spread_share, found.partitions_read, found.ids_moved) == (0, 1, 0)
