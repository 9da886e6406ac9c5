"""Bulk jobs against the bare batched upsert: users a second, and bytes of WAL."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from typing import ClassVar

import psycopg
from benchmarks.bench.bench import BULK_QUEUE, LABELS, Bench
from benchmarks.bench.draining import drain
from benchmarks.bench.figures import Figure, median_of_ratios
from benchmarks.bench.people import KNOWN, Person, crowd, traits
from benchmarks.bench.yardsticks import batches, table


class Bulk:
    """The same users through both, in each round."""

    keys: ClassVar[tuple[str, ...]] = ("bulk_vs_floor", "bytes_written_vs_floor")

    def sides(self, bench: Bench) -> Sequence[str]:
        return [BULK_QUEUE]

    def steps(self, bench: Bench) -> int:
        return 1 + 2 * bench.scale.rounds

    def run(self, bench: Bench) -> None:
        turns = bench.rounds()
        known, side = bench.scale.users, bench.side(BULK_QUEUE)
        url = bench.ground.new_schema("floor")
        table.create(url, known=known, prefix=KNOWN, data=traits(0, 0))
        wal: dict[str, list[float]] = {BULK_QUEUE: [], "floor": []}
        with psycopg.connect(url, autocommit=True) as connection:
            bench.step(f"warming up: {LABELS[BULK_QUEUE]}")
            warm_up = crowd(2_000, known=known)
            drain(side, warm_up)
            batches.load(connection, warm_up)
            for round_ in range(turns):
                people = crowd(bench.scale.bulk_users, known=known)
                for name in random.sample(list(wal), 2):
                    bench.step(f"round {round_ + 1} of {turns}: {LABELS[name]}")
                    if name == BULK_QUEUE:
                        drained = drain(side, people, from_checkpoint=True)
                        rate, written = drained.rate, drained.wal_bytes
                    else:
                        rate, written = _floor(bench, connection, people)
                    bench.rate(name, rate)
                    wal[name].append(written / len(people))
        size = {"users_a_round": bench.scale.bulk_users, "users_known": known}
        against = LABELS["floor"]
        value, rounds = median_of_ratios(bench.rates[BULK_QUEUE], bench.rates["floor"])
        bench.record(
            Figure(
                key="bulk_vs_floor",
                value=value,
                rounds=rounds,
                ours=bench.median_rate(BULK_QUEUE),
                yardstick=bench.median_rate("floor"),
                against=against,
                unit="users/s",
                size=size,
            )
        )
        value, rounds = median_of_ratios(wal[BULK_QUEUE], wal["floor"])
        bench.record(
            Figure(
                key="bytes_written_vs_floor",
                value=value,
                rounds=rounds,
                ours=statistics.median(wal[BULK_QUEUE]),
                yardstick=statistics.median(wal["floor"]),
                against=against,
                unit="bytes/user",
                size=size,
            )
        )


def _floor(bench: Bench, connection: psycopg.Connection, people: Sequence[Person]) -> tuple[float, int]:
    bench.ground.checkpoint()
    before = bench.ground.wal_bytes()
    seconds = batches.load(connection, people)
    return len(people) / seconds, bench.ground.wal_bytes() - before
