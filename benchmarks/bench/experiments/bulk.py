"""Bulk jobs against the bare batched upsert: users per second, and bytes of WAL."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from typing import ClassVar

import psycopg
from benchmarks.bench.baselines import batched_upserts, table
from benchmarks.bench.bench import BULK_QUEUE, LABELS, Bench
from benchmarks.bench.drain import drain
from benchmarks.bench.figures import Figure, median_of_ratios
from benchmarks.bench.users import KNOWN, UserRecord, make_users, traits


class Bulk:
    """Both get the same users in each round."""

    keys: ClassVar[tuple[str, ...]] = ("bulk_vs_floor", "bytes_written_vs_floor")

    def contenders(self, bench: Bench) -> Sequence[str]:
        return [BULK_QUEUE]

    def steps(self, bench: Bench) -> int:
        return 1 + 2 * bench.scale.rounds

    def run(self, bench: Bench) -> None:
        turns = bench.rounds()
        known, contender = bench.scale.users, bench.contender(BULK_QUEUE)
        url = bench.environment.new_schema("floor")
        table.create(url, known=known, prefix=KNOWN, data=traits(0, 0))
        wal: dict[str, list[float]] = {BULK_QUEUE: [], "floor": []}
        with psycopg.connect(url, autocommit=True) as connection:
            bench.step(f"warming up: {LABELS[BULK_QUEUE]}")
            warm_up = make_users(2_000, known=known)
            drain(contender, warm_up)
            batched_upserts.load(connection, warm_up)
            for round_ in range(turns):
                users = make_users(bench.scale.bulk_users, known=known)
                for name in random.sample(list(wal), 2):
                    bench.step(f"round {round_ + 1} of {turns}: {LABELS[name]}")
                    if name == BULK_QUEUE:
                        result = drain(contender, users, from_checkpoint=True)
                        rate, written = result.rate, result.wal_bytes
                    else:
                        rate, written = _floor(bench, connection, users)
                    bench.rate(name, rate)
                    wal[name].append(written / len(users))
        size = {"users_a_round": bench.scale.bulk_users, "users_known": known}
        against = LABELS["floor"]
        value, rounds = median_of_ratios(bench.rates[BULK_QUEUE], bench.rates["floor"])
        bench.record(
            Figure(
                key="bulk_vs_floor",
                value=value,
                rounds=rounds,
                ours=bench.median_rate(BULK_QUEUE),
                baseline=bench.median_rate("floor"),
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
                baseline=statistics.median(wal["floor"]),
                against=against,
                unit="bytes/user",
                size=size,
            )
        )


def _floor(bench: Bench, connection: psycopg.Connection, users: Sequence[UserRecord]) -> tuple[float, int]:
    bench.environment.checkpoint()
    before = bench.environment.wal_bytes()
    seconds = batched_upserts.load(connection, users)
    return len(users) / seconds, bench.environment.wal_bytes() - before
