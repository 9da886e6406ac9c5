"""The cost of Celery's events, which a monitor as Flower receives: the same jobs with a monitor and without."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Sequence
from typing import ClassVar

from benchmarks.bench.bench import LABELS, OURS, Bench
from benchmarks.bench.drain import drain
from benchmarks.bench.figures import Figure, median_of_ratios
from benchmarks.bench.receiver import receiving_events
from benchmarks.bench.users import make_users


class Events:
    """What receives the events does nothing with them, as the cost of Flower itself is not ours. In all other
    experiments there is no monitor, as stock Celery sends no events without one.
    """

    keys: ClassVar[tuple[str, ...]] = ("events_on_vs_off",)

    def contenders(self, bench: Bench) -> Sequence[str]:
        return [OURS]

    def steps(self, bench: Bench) -> int:
        return 1 + 2 * bench.scale.rounds

    def run(self, bench: Bench) -> None:
        turns = bench.rounds()
        contender = bench.ours()
        bench.step(f"warming up: {LABELS[OURS]}")
        count = bench.size_of(OURS)
        for round_ in range(turns):
            for on in random.sample([True, False], 2):
                name = "events_on" if on else "events_off"
                bench.step(f"round {round_ + 1} of {turns}: {LABELS[name]}")
                with receiving_events(contender.broker_url) if on else contextlib.nullcontext():
                    bench.rate(name, drain(contender, make_users(count, known=contender.known)).rate)
        value, rounds = median_of_ratios(bench.rates["events_off"], bench.rates["events_on"])
        bench.record(
            Figure(
                key="events_on_vs_off",
                value=value,
                rounds=rounds,
                ours=bench.median_rate("events_on"),
                baseline=bench.median_rate("events_off"),
                against=LABELS["events_off"],
                unit="users/s",
                size={"jobs_a_round": count},
            )
        )
