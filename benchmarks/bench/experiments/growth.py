"""What grows: the table, and the workers' memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from benchmarks.bench.bench import LABELS, LARGE, OURS, Bench
from benchmarks.bench.draining import drain
from benchmarks.bench.experiments.racing import race, race_steps
from benchmarks.bench.figures import Figure, median_of_ratios
from benchmarks.bench.people import crowd


class Growth:
    """The same jobs on a small table and on a large one; half of them for users chosen by chance from all known."""

    keys: ClassVar[tuple[str, ...]] = ("rate_at_1m_users_vs_10k",)

    def sides(self, bench: Bench) -> Sequence[str]:
        return [OURS, LARGE]

    def steps(self, bench: Bench) -> int:
        return race_steps(2, bench.scale.rounds)

    def run(self, bench: Bench) -> None:
        rates = race(bench, {"users_small": OURS, "users_large": LARGE}, bench.rounds())
        value, rounds = median_of_ratios(rates["users_large"], rates["users_small"])
        bench.record(
            Figure(
                key="rate_at_1m_users_vs_10k",
                value=value,
                rounds=rounds,
                ours=bench.median_rate("users_large"),
                yardstick=bench.median_rate("users_small"),
                against=LABELS["users_small"],
                unit="users/s",
                size={"users_large": bench.scale.large_users, "users_small": bench.scale.users},
            )
        )


class Memory:
    """Last of all, so that everything else lies between its two readings."""

    keys: ClassVar[tuple[str, ...]] = ("worker_rss_growth",)

    def sides(self, bench: Bench) -> Sequence[str]:
        return [OURS]

    def steps(self, bench: Bench) -> int:
        return 2

    def run(self, bench: Bench) -> None:
        side = bench.ours()
        bench.step("memory of the workers")
        bench.size_of(OURS)
        # Where no other experiment has, that warmed them up.
        bench.warm_rss = bench.warm_rss or side.rss_bytes()
        bench.step("memory of the workers, a last time at work")
        drain(side, crowd(bench.size_of(OURS), known=side.known))
        now, warm = side.rss_bytes(), bench.warm_rss or 1
        row = side.connection.execute("SELECT count(*) FROM rollbook.jobs").fetchone()
        bench.record(
            Figure(
                key="worker_rss_growth",
                value=now / warm,
                ours=now / 2**20,
                yardstick=warm / 2**20,
                against="the same workers, warmed up",
                unit="MiB",
                size={"jobs_applied": row[0] if row else 0},
            )
        )
