"""From the call until a reader sees it, with nothing else going on, and at half of the rate that is possible."""

from __future__ import annotations

import random
import statistics
import threading
import time
from collections.abc import Sequence
from typing import ClassVar, Final

from benchmarks.bench.bench import LABELS, OURS, UPSERT, Bench
from benchmarks.bench.figures import Figure, percentile
from benchmarks.bench.people import Person, crowd
from benchmarks.bench.sides import Side, Stalled

_LOOK: Final = 0.0003
"""Seconds between two looks: each is a read of Postgres, which takes about as long."""
_PAUSE: Final = 0.005
"""Seconds between two probes, on average: at random, not to walk in step with what is probed."""
_SEEN_WITHIN: Final = 20.0
_TICK: Final = 0.01
_DRIPPING: Final = "bench-dripping"
_DRIP: Final = "for i = 1, ARGV[1] do redis.call('LMOVE', KEYS[1], KEYS[2], 'RIGHT', 'LEFT') end"


class Latency:
    """Probes are sent as an application would send them; the load beside them drips from a list that was staged."""

    keys: ClassVar[tuple[str, ...]] = ("p50_ms", "p99_ms", "p50_half_load_ms", "p99_half_load_ms")

    def sides(self, bench: Bench) -> Sequence[str]:
        return [OURS, *UPSERT[-1:]]

    def steps(self, bench: Bench) -> int:
        return 2 + 4 * bench.scale.rounds

    def run(self, bench: Bench) -> None:
        turns = bench.rounds()
        names = self.sides(bench)
        halves = {}
        for name in names:
            bench.step(f"half load: {LABELS[name]}")
            halves[name] = _rate(bench, name) / 2
        seen: dict[tuple[str, bool], list[list[float]]] = {}
        for round_ in range(turns):
            for is_loaded in (False, True):
                for name in names:
                    how = "at half load" if is_loaded else "idle"
                    bench.step(f"round {round_ + 1} of {turns}: latency {how}: {LABELS[name]}")
                    load = halves[name] if is_loaded else 0.0
                    took = _probe(bench.side(name), bench.scale.probes_seconds, load)
                    seen.setdefault((name, is_loaded), []).append(took)
        for key, share, is_loaded in zip(self.keys, (0.5, 0.99, 0.5, 0.99), (False, False, True, True), strict=True):
            ours, theirs = seen[OURS, is_loaded], seen[names[1], is_loaded]
            value = percentile([each for block in ours for each in block], share)
            bench.record(
                Figure(
                    key=key,
                    value=value,
                    rounds=[percentile(block, share) for block in ours],
                    ours=value,
                    yardstick=percentile([each for block in theirs for each in block], share),
                    against=LABELS[names[1]],
                    unit="ms",
                    size={"probes": sum(map(len, ours)), "load_a_second": round(halves[OURS]) if is_loaded else 0},
                )
            )


def _rate(bench: Bench, name: str) -> float:
    if name in bench.rates:
        return statistics.median(bench.rates[name])
    return bench.size_of(name) / bench.scale.drain_seconds


def _probe(side: Side, seconds: float, load: float) -> list[float]:
    """Milliseconds of each probe, one after the other, while `load` jobs a second come in as well."""
    stop = threading.Event()
    dripping = threading.Thread(target=_drip, args=(side, load, stop), daemon=True)
    if load:
        side.stage(crowd(max(1, int(load * seconds)), known=side.known))
        side.release_as(_DRIPPING)
        dripping.start()
    took = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        (person,) = crowd(1, known=0)
        took.append(_seconds_until_seen(side, person) * 1_000)
        time.sleep(random.uniform(0, 2 * _PAUSE))
    stop.set()
    if load:
        dripping.join()
        side.client.delete(_DRIPPING)
        side.wait_for(lambda: not side.client.llen(side.queue), within=_SEEN_WITHIN, what="take what dripped")
    return took


def _seconds_until_seen(side: Side, person: Person) -> float:
    begin = time.perf_counter()
    side.send(person)
    while side.visit_of(person.id) is None:
        if time.perf_counter() - begin > _SEEN_WITHIN:
            side.check()
            raise Stalled(f"{side.name} did not show a user within {_SEEN_WITHIN:.0f} s{side.last_words()}")
        time.sleep(_LOOK)
    return time.perf_counter() - begin


def _drip(side: Side, load: float, stop: threading.Event) -> None:
    drip = side.client.register_script(_DRIP)
    begin, moved = time.monotonic(), 0
    while not stop.wait(_TICK):
        due = int((time.monotonic() - begin) * load) - moved
        due = min(due, int(side.client.llen(_DRIPPING)))
        if due > 0:
            drip(keys=[_DRIPPING, side.queue], args=[due])
            moved += due
