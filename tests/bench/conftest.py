"""The results of a run, made by hand."""

from __future__ import annotations

import pytest
from benchmarks.bench.figures import Figure
from benchmarks.bench.goals import GOALS
from benchmarks.bench.results import Results
from benchmarks.bench.scale import QUICK


@pytest.fixture
def results() -> Results:
    """As a run would leave them, with every key."""
    figures = [
        Figure(
            key=key,
            value=2.0,
            rounds=[1.0, 2.0, 4.0],
            ours=2_000.0,
            baseline=1_000.0,
            against="a baseline <of> sorts",
            unit="users/s",
            size={"users_known": 10},
        )
        for key in GOALS
    ]
    rates = {"rollbook": [900.0, 1_000.0], "celery_orm_8": [90.0, 110.0], "floor": [50_000.0], "delay": [1_500.0]}
    machine: dict[str, str | int] = {"cpu": "A & B", "cores": 2, "kernel": "Linux 6"}
    return Results(scale=QUICK, figures=figures, rates=rates, machine=machine, day="2026-11-24")
