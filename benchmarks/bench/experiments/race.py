"""Rounds of drains: every contender in every round, in random order."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from benchmarks.bench.bench import LABELS, Bench
from benchmarks.bench.drain import drain
from benchmarks.bench.users import make_users


def race(bench: Bench, contenders: Mapping[str, str], rounds: int) -> dict[str, list[float]]:
    """The rate of each contender in each round. `contenders` maps the name of a rate to its contender.

    Each contender gets as many jobs as keep it busy for the scale's seconds.
    """
    sizes = {}
    for name in contenders:
        bench.step(f"warming up: {LABELS[name]}")
        sizes[name] = bench.size_of(contenders[name])
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for round_ in range(rounds):
        for name in in_any_order(list(contenders)):
            bench.step(f"round {round_ + 1} of {rounds}: {LABELS[name]}")
            contender = bench.contender(contenders[name])
            result = drain(contender, make_users(sizes[name], known=contender.known))
            rates[name].append(result.rate)
            bench.rate(name, result.rate)
    return rates


def race_steps(contenders: int, rounds: int) -> int:
    return contenders * (rounds + 1)


def in_any_order(names: Sequence[str]) -> list[str]:
    return random.sample(list(names), len(names))
