"""One user per job, against everything that users would write instead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from benchmarks.bench.bench import LABELS, ORM, OURS, UPSERT, Bench
from benchmarks.bench.experiments.race import race, race_steps
from benchmarks.bench.figures import Figure, best, median_of_ratios

PEER_KEY: Final = "single_vs_best_peer"


class SingleJobs:
    """Identifies applied per second; of each baseline the fastest setting counts."""

    keys: ClassVar[tuple[str, ...]] = ("single_vs_stock_orm", "single_vs_stock_upsert", PEER_KEY)

    def contenders(self, bench: Bench) -> Sequence[str]:
        return [OURS, *(name for key, names in _against(bench).items() if key in bench.keys for name in names)]

    def steps(self, bench: Bench) -> int:
        return race_steps(len(self.contenders(bench)), bench.scale.rounds)

    def run(self, bench: Bench) -> None:
        rates = race(bench, {name: name for name in self.contenders(bench)}, bench.rounds())
        bench.warm_rss = bench.warm_rss or bench.ours().rss_bytes()
        for key, names in _against(bench).items():
            if key not in bench.keys:
                continue
            theirs = {name: rates[name] for name in names}
            if not theirs:
                bench.record(Figure(key=key, value=None, note="no peer is installed"))
                continue
            baseline = best(theirs)
            value, rounds = median_of_ratios(rates[OURS], theirs[baseline])
            bench.record(
                Figure(
                    key=key,
                    value=value,
                    rounds=rounds,
                    ours=bench.median_rate(OURS),
                    baseline=bench.median_rate(baseline),
                    against=LABELS[baseline],
                    unit="users/s",
                    size={"users_known": bench.scale.users},
                )
            )


def _against(bench: Bench) -> dict[str, tuple[str, ...]]:
    """Key -> the settings of its baseline."""
    return dict(zip(SingleJobs.keys, (bench.variants(ORM), bench.variants(UPSERT), bench.peers), strict=True))
