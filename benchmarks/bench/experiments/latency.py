"""The time from the call until a reader sees the user: without load, at half of our own rate, and at half of stock
Celery's.
"""

from __future__ import annotations

import random
import statistics
import threading
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar, Final

from benchmarks.bench.bench import LABELS, OURS, UPSERT, Bench
from benchmarks.bench.contenders import Contender, Stalled
from benchmarks.bench.figures import Figure, percentile
from benchmarks.bench.users import UserRecord, make_users

_NOTHING: Final = nullcontext()
_POLL_SECONDS: Final = 0.0003
"""Seconds between two reads of Postgres, each of which takes about as long."""
_PAUSE: Final = 0.005
"""Mean seconds between two probes; random, so that they do not run in step with the worker."""
_VISIBLE_WITHIN: Final = 20.0
_TICK: Final = 0.01
_DRIPPING: Final = "bench-dripping"
_DRIP: Final = "for i = 1, ARGV[1] do redis.call('LMOVE', KEYS[1], KEYS[2], 'RIGHT', 'LEFT') end"


class Latency:
    """Probes are sent as an application would send them. The load comes from a staged list, a few jobs at a time.

    Half of the baseline's own rate is a load that both can carry, so there the two are compared.
    """

    keys: ClassVar[tuple[str, ...]] = (
        "p50_ms",
        "p99_ms",
        "p50_half_load_ms",
        "p99_half_load_ms",
        "p50_same_load_vs_stock",
        "p99_same_load_vs_stock",
    )

    def contenders(self, bench: Bench) -> Sequence[str]:
        return [OURS, *UPSERT[-1:]]

    def steps(self, bench: Bench) -> int:
        return 2 + 5 * bench.scale.rounds

    def run(self, bench: Bench) -> None:
        turns = bench.rounds()
        ours, stock = self.contenders(bench)
        halves = {}
        for name in (ours, stock):
            bench.step(f"half load: {LABELS[name]}")
            halves[name] = _rate(bench, name) / 2
        idle, own_half, same = 0.0, halves[ours], halves[stock]
        took: dict[tuple[str, float], list[list[float]]] = {
            case: [] for case in ((ours, idle), (stock, idle), (ours, own_half), (ours, same), (stock, same))
        }
        for round_ in range(turns):
            for (name, load), blocks in took.items():
                bench.step(f"round {round_ + 1} of {turns}: latency at {load:,.0f} jobs/s: {LABELS[name]}")
                blocks.append(probe(bench.contender(name), bench.scale.probes_seconds, load))
        for percent, share in (("p50", 0.5), ("p99", 0.99)):
            for key, case, load in ((f"{percent}_ms", idle, idle), (f"{percent}_half_load_ms", own_half, same)):
                blocks, theirs = took[ours, case], took[stock, load]
                value = _percentile_of_all(blocks, share)
                bench.record(
                    Figure(
                        key=key,
                        value=value,
                        rounds=[percentile(block, share) for block in blocks],
                        ours=value,
                        baseline=_percentile_of_all(theirs, share),
                        against=f"{LABELS[stock]}, at half of its own rate" if case else LABELS[stock],
                        unit="ms",
                        size={"probes": sum(map(len, blocks)), "load_a_second": round(case)},
                    )
                )
            pairs = zip(took[ours, same], took[stock, same], strict=True)
            rounds = [percentile(one, share) / percentile(other, share) for one, other in pairs]
            bench.record(
                Figure(
                    key=f"{percent}_same_load_vs_stock",
                    value=statistics.median(rounds),
                    rounds=rounds,
                    ours=_percentile_of_all(took[ours, same], share),
                    baseline=_percentile_of_all(took[stock, same], share),
                    against=f"{LABELS[stock]}, at the same rate",
                    unit="ms",
                    size={"probes": sum(map(len, took[ours, same])), "load_a_second": round(same)},
                )
            )


def _percentile_of_all(blocks: Sequence[Sequence[float]], share: float) -> float:
    return percentile([each for block in blocks for each in block], share)


def _rate(bench: Bench, name: str) -> float:
    if name in bench.rates:
        return statistics.median(bench.rates[name])
    return bench.size_of(name) / bench.scale.drain_seconds


def probe(
    contender: Contender, seconds: float, load: float, *, meanwhile: AbstractContextManager[object] = _NOTHING
) -> list[float]:
    """Milliseconds of each probe, one after the other, while `load` further jobs arrive per second.

    meanwhile: is entered as the first probe is sent, when all jobs are staged, and left after the last.
    """
    stop = threading.Event()
    dripping = threading.Thread(target=_drip, args=(contender, load, stop), daemon=True)
    if load:
        contender.stage(make_users(max(1, int(load * seconds)), known=contender.known))
        contender.release_as(_DRIPPING)
        dripping.start()
    took = []
    with meanwhile:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            (user,) = make_users(1, known=0)
            took.append(_seconds_until_visible(contender, user) * 1_000)
            time.sleep(random.uniform(0, 2 * _PAUSE))
    stop.set()
    if load:
        dripping.join()
        contender.client.delete(_DRIPPING)
        contender.wait_for(
            lambda: not contender.client.llen(contender.queue), within=_VISIBLE_WITHIN, what="take what dripped"
        )
    return took


def _seconds_until_visible(contender: Contender, user: UserRecord) -> float:
    begin = time.perf_counter()
    contender.send(user)
    while contender.read_visit(user.id) is None:
        if time.perf_counter() - begin > _VISIBLE_WITHIN:
            contender.check()
            raise Stalled(f"{contender.name} did not show a user within {_VISIBLE_WITHIN:.0f} s{contender.log_tails()}")
        time.sleep(_POLL_SECONDS)
    return time.perf_counter() - begin


def _drip(contender: Contender, load: float, stop: threading.Event) -> None:
    drip = contender.client.register_script(_DRIP)
    begin, moved = time.monotonic(), 0
    while not stop.wait(_TICK):
        due = int((time.monotonic() - begin) * load) - moved
        due = min(due, int(contender.client.llen(_DRIPPING)))
        if due > 0:
            drip(keys=[_DRIPPING, contender.queue], args=[due])
            moved += due
