"""Growth: of the table, and of the workers' memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from benchmarks.bench.bench import LABELS, LARGE, OURS, UPSERT, Bench
from benchmarks.bench.drain import drain
from benchmarks.bench.experiments.race import race, race_steps
from benchmarks.bench.figures import Figure, median_of_ratios
from benchmarks.bench.users import make_users

_JOBS: Final = 10_000
"""A worker has applied at least so many when its memory is read."""
_MB: Final = 1_000_000


class Growth:
    """The same jobs on a small and on a large table; half of them for random known users."""

    keys: ClassVar[tuple[str, ...]] = ("rate_at_1m_users_vs_10k",)

    def contenders(self, bench: Bench) -> Sequence[str]:
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
                baseline=bench.median_rate("users_small"),
                against=LABELS["users_small"],
                unit="users/s",
                size={"users_large": bench.scale.large_users, "users_small": bench.scale.users},
            )
        )


class Memory:
    """Runs last, so that all other experiments lie between its two readings."""

    keys: ClassVar[tuple[str, ...]] = ("worker_mb", "worker_rss_growth")

    def contenders(self, bench: Bench) -> Sequence[str]:
        return [OURS, *bench.variants(UPSERT)[:1]]

    def steps(self, bench: Bench) -> int:
        return 3

    def run(self, bench: Bench) -> None:
        contender = bench.ours()
        bench.step("memory of the workers")
        bench.size_of(OURS)
        # If no other experiment has warmed them up, that did.
        bench.warm_rss = bench.warm_rss or contender.rss_bytes()
        bench.step("memory of the workers, a last time at work")
        drain(contender, make_users(bench.size_of(OURS), known=contender.known))
        self._record_size(bench)
        now, warm = contender.rss_bytes(), bench.warm_rss or 1
        row = contender.connection.execute("SELECT count(*) FROM rollbook.jobs").fetchone()
        bench.record(
            Figure(
                key="worker_rss_growth",
                value=now / warm,
                ours=now / 2**20,
                baseline=warm / 2**20,
                against="the same workers, warmed up",
                unit="MiB",
                size={"jobs_applied": row[0] if row else 0},
            )
        )

    def _record_size(self, bench: Bench) -> None:
        contender, stock = bench.ours(), bench.contender(self.contenders(bench)[1])
        bench.step("memory of each worker")
        workers = len(contender.processes)
        for _ in range(0, _JOBS * workers, bench.size_of(OURS)):
            drain(contender, make_users(bench.size_of(OURS), known=contender.known))
        drain(stock, make_users(bench.size_of(stock.name), known=stock.known))
        ours = max(contender.pss_bytes().values()) / _MB
        bench.record(
            Figure(
                key="worker_mb",
                value=ours,
                ours=ours,
                baseline=max(stock.pss_bytes().values()) / _MB,
                against=LABELS[stock.name],
                unit="MB",
                size={"jobs_a_worker": _JOBS},
            )
        )
