"""The processor time of starting: every program runs, and one that does more takes longer."""

from __future__ import annotations

from dataclasses import replace

import pytest
from benchmarks.bench.bench import Bench
from benchmarks.bench.environment import Environment
from benchmarks.bench.experiments.starts import Starts
from benchmarks.bench.scale import QUICK

from rollbook_ops.devstack import Servers

ONE_ROUND = replace(QUICK, rounds=1, starts=1)
FIRST_BROKER = 40
"""The numbered databases of the session's Valkey that other tests use are below."""


@pytest.mark.slow
def test_starts_are_measured_beside_what_they_are_compared_with(servers: Servers) -> None:
    with Environment(servers, first_broker=FIRST_BROKER) as environment:
        bench = Bench(environment, ONE_ROUND, keys=set(Starts.keys), peers=[], step=lambda what: None)

        Starts().run(bench)

    figures = {figure.key: figure for figure in bench.figures}
    assert set(figures) == set(Starts.keys)
    imported, first = figures["import_ms"], figures["first_identify_ms"]
    assert imported.value is not None
    assert first.value is not None
    assert 0 < imported.value < first.value
    assert all(figure.baseline is not None and figure.baseline > 0 for figure in figures.values())
