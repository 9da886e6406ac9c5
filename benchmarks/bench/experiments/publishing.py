"""Publishing: calls per second of one process, until Redis has the jobs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import ClassVar, Final

import redis
from benchmarks.bench.baselines import celery_upsert, redis_lists
from benchmarks.bench.bench import LABELS, Bench
from benchmarks.bench.experiments.race import in_any_order
from benchmarks.bench.figures import Figure, median_of_ratios
from benchmarks.bench.users import UserRecord, make_users

from rollbook import Rollbook

BUFFERED_MORE: Final = 20
"""How many times more calls a buffered round has, so that it is long enough."""


class Publishing:
    """No worker consumes; the jobs are discarded after each turn."""

    keys: ClassVar[tuple[str, ...]] = ("enqueue_vs_delay", "buffered_vs_delay")

    def contenders(self, bench: Bench) -> Sequence[str]:
        return []

    def steps(self, bench: Bench) -> int:
        return len(_Publishers.names) * (bench.scale.rounds + 1)

    def run(self, bench: Bench) -> None:
        turns = bench.rounds()
        with _Publishers(bench.environment.new_broker(), bench.scale.calls, bench.scale.users) as publishers:
            for round_ in range(turns + 1):
                for name in in_any_order(_Publishers.names):
                    bench.step(f"round {round_} of {turns}: {LABELS[name]}")
                    rate = publishers.rate(name)
                    if round_:  # the first warms up
                        bench.rate(name, rate)
        for key, name in zip(self.keys, ("identify", "buffered"), strict=True):
            value, rounds = median_of_ratios(bench.rates[name], bench.rates["delay"])
            bench.record(
                Figure(
                    key=key,
                    value=value,
                    rounds=rounds,
                    ours=bench.median_rate(name),
                    baseline=bench.median_rate("delay"),
                    against=LABELS["delay"],
                    unit="calls/s",
                    size={"calls_a_round": bench.scale.calls * (BUFFERED_MORE if name == "buffered" else 1)},
                )
            )


class _Publishers:
    names: ClassVar[tuple[str, ...]] = ("identify", "buffered", "delay", "lpush", "blpop")

    def __init__(self, broker_url: str, calls: int, known: int) -> None:
        self._sends = calls
        self._known = known
        self._rollbook = Rollbook(broker_url=broker_url)
        self._task = celery_upsert.celery_app(broker_url).tasks[celery_upsert.TASK]
        self._client = redis.Redis.from_url(broker_url)

    def __enter__(self) -> _Publishers:
        return self

    def __exit__(self, *_: object) -> None:
        self._rollbook.close()
        self._client.close()

    def rate(self, name: str) -> float:
        turn: Callable[[Sequence[UserRecord]], None] = getattr(self, f"_{name}")
        users = make_users(self._sends * (BUFFERED_MORE if name == "buffered" else 1), known=self._known)
        if name == "blpop":
            self._lpush(users)
        begin = time.perf_counter()
        turn(users)
        seconds = time.perf_counter() - begin
        self._client.flushdb()
        return len(users) / seconds

    def _identify(self, users: Sequence[UserRecord]) -> None:
        for user in users:
            self._rollbook.users.identify(user.id, user.traits)

    def _buffered(self, users: Sequence[UserRecord]) -> None:
        with self._rollbook.buffered() as buffered:
            for user in users:
                buffered.users.identify(user.id, user.traits)
            buffered.flush()

    def _delay(self, users: Sequence[UserRecord]) -> None:
        for user in users:
            self._task.delay(user.id, user.traits)

    def _lpush(self, users: Sequence[UserRecord]) -> None:
        redis_lists.push(self._client, json.dumps(users[0].traits).encode(), len(users))

    def _blpop(self, users: Sequence[UserRecord]) -> None:
        redis_lists.pop(self._client, len(users))
