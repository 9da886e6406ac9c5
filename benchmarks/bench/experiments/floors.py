"""Triggers and merges against bare SQL that writes the same rows."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from typing import ClassVar, Final, Protocol

import psycopg
from benchmarks.bench import seeding
from benchmarks.bench.baselines import written_rows
from benchmarks.bench.bench import ONE, Bench
from benchmarks.bench.contenders import Stalled
from benchmarks.bench.contenders.rollbook import Call, RollbookSingle, migrated
from benchmarks.bench.drain import drain_staged
from benchmarks.bench.figures import Figure, median_of_ratios
from benchmarks.bench.users import known_id, traits

RECIPIENTS: Final = 1_000
CHANNELS: Final = ("in_app", "email")
MERGES_A_TRANSACTION: Final = 200
"""Of the floor; a worker takes as many at most. Of triggers each has a transaction: they write 3,000 rows."""
_PRIMARY, _GUEST = "primary-00000000", "guest-00000000"
_WITHIN: Final = 60.0
"""Seconds."""


class Work(Protocol):
    """Jobs of one kind."""

    key: str
    unit: str
    units: int
    """Of one job."""
    table: str
    """Where one job leaves `rows` rows."""
    rows: int

    def jobs(self, bench: Bench) -> int:
        """Jobs of one round."""

    def transactions(self, jobs: int) -> int:
        """Of the floor."""

    def prepare(self, contender: RollbookSingle, jobs: int) -> Sequence[Call]:
        """Write the users that the jobs need; return the calls that send the jobs."""


class Floors:
    """One worker, and one connection that writes in each round what the worker has left in that round."""

    keys: ClassVar[tuple[str, ...]] = ("trigger_vs_floor", "merge_vs_floor")

    def contenders(self, bench: Bench) -> Sequence[str]:
        return [ONE]

    def steps(self, bench: Bench) -> int:
        return len(self.keys) * (1 + bench.scale.rounds)

    def run(self, bench: Bench) -> None:
        turns, contender = bench.rounds(), bench.ours(ONE)
        url = bench.environment.new_database("rows_floor", like=migrated(bench.environment))
        with psycopg.connect(url, autocommit=True) as floor:
            for work in _Triggers(), _Merges():
                rates = []
                for round_ in range(turns + 1):
                    bench.step(f"round {round_} of {turns}: {work.unit} and their floor")
                    rates.append(_turn(contender, floor, work, work.jobs(bench)))
                ours, theirs = zip(*rates[1:], strict=True)  # the first warms up
                value, ratios = median_of_ratios(ours, theirs)
                bench.record(
                    Figure(
                        key=work.key,
                        value=value,
                        rounds=ratios,
                        ours=statistics.median(ours),
                        baseline=statistics.median(theirs),
                        against="psycopg, COPY of the same rows, no queue",
                        unit=f"{work.unit}/s",
                        size={"jobs_a_round": work.jobs(bench), "users_known": contender.known},
                    )
                )


class _Triggers:
    key = "trigger_vs_floor"
    unit = "messages"
    units = rows = RECIPIENTS * len(CHANNELS)
    table = "messages"

    def jobs(self, bench: Bench) -> int:
        return bench.scale.triggers

    def transactions(self, jobs: int) -> int:
        return jobs

    def prepare(self, contender: RollbookSingle, jobs: int) -> Sequence[Call]:
        data = {"text": "something of the usual length happened"}

        def trigger() -> Call:
            recipients = [known_id(number) for number in random.sample(range(contender.known), RECIPIENTS)]
            return lambda rb: rb.workflows.trigger("bench", recipients, data=data, channels=CHANNELS)

        return [trigger() for _ in range(jobs)]


class _Merges:
    """Each of a guest into a user, both of ten traits and never merged before."""

    key = "merge_vs_floor"
    unit = "merges"
    units = rows = 1
    table = "lifecycle_events"

    def __init__(self) -> None:
        self._merged = 0

    def jobs(self, bench: Bench) -> int:
        return bench.scale.merges

    def transactions(self, jobs: int) -> int:
        return -(-jobs // MERGES_A_TRANSACTION)

    def prepare(self, contender: RollbookSingle, jobs: int) -> Sequence[Call]:
        first = self._merged + 1
        self._merged += jobs
        for user_id in _PRIMARY, _GUEST:
            contender.rb.users.identify(user_id, traits(0, 0)).wait(timeout=_WITHIN)
            seeding.copy_user(contender.connection, user_id, first + jobs, first=first)

        def merge(number: int) -> Call:
            return lambda rb: rb.users.merge(_numbered(_PRIMARY, number), _numbered(_GUEST, number))

        return [merge(number) for number in range(first, first + jobs)]


def _numbered(user_id: str, number: int) -> str:
    return f"{user_id[:-8]}{number:08}"


def _turn(contender: RollbookSingle, floor: psycopg.Connection, work: Work, jobs: int) -> tuple[float, float]:
    """The units a second of the worker, and of the floor."""
    started = written_rows.mark(contender.connection)
    calls = work.prepare(contender, jobs)
    written_rows.write(floor, written_rows.rows_since(contender.connection, started), transactions=1)
    floor.execute("VACUUM ANALYZE")
    contender.stage_calls(calls)
    released = written_rows.mark(contender.connection)
    rate = drain_staged(contender, jobs, from_checkpoint=True).rate
    left = written_rows.rows_since(contender.connection, released)
    if len(left[work.table]) != jobs * work.rows:
        raise Stalled(f"{jobs} {work.key} jobs have left {len(left[work.table])} rows in {work.table}")
    contender.environment.checkpoint()
    seconds = written_rows.write(floor, left, transactions=work.transactions(jobs))
    return rate * work.units, jobs * work.units / seconds
