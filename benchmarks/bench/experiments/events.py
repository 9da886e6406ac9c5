"""The cost of Celery's events, which Flower needs: the same jobs with events on and off."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import ClassVar

from benchmarks.bench.bench import LABELS, OURS, Bench
from benchmarks.bench.drain import drain
from benchmarks.bench.figures import Figure, median_of_ratios
from benchmarks.bench.users import make_users


class Events:
    """No client reads the events, as the cost of Flower itself is not ours. All other experiments use the events as the
    documented command sets them.
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
                contender.switch_events(on=on)
                bench.rate(name, drain(contender, make_users(count, known=contender.known)).rate)
        contender.switch_events(on=True)
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
