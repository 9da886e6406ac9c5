"""Rounds of drains: every side in every round, in another order each time."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from benchmarks.bench.bench import LABELS, Bench
from benchmarks.bench.draining import drain
from benchmarks.bench.people import crowd


def race(bench: Bench, sides: Mapping[str, str], rounds: int) -> dict[str, list[float]]:
    """Drain by drain, what each side takes a second; `sides` maps the name of a rate to its side.

    Each side is given as many jobs as keep it busy for the scale's seconds.
    """
    sizes = {}
    for name in sides:
        bench.step(f"warming up: {LABELS[name]}")
        sizes[name] = bench.size_of(sides[name])
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for round_ in range(rounds):
        for name in in_any_order(list(sides)):
            bench.step(f"round {round_ + 1} of {rounds}: {LABELS[name]}")
            side = bench.side(sides[name])
            drained = drain(side, crowd(sizes[name], known=side.known))
            rates[name].append(drained.rate)
            bench.rate(name, drained.rate)
    return rates


def race_steps(sides: int, rounds: int) -> int:
    return sides * (rounds + 1)


def in_any_order(names: Sequence[str]) -> list[str]:
    return random.sample(list(names), len(names))
