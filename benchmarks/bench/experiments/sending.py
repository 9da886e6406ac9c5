"""The sending side: calls a second of one process, until Redis has what was sent."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import ClassVar, Final

import redis
from benchmarks.bench.bench import LABELS, Bench
from benchmarks.bench.experiments.racing import in_any_order
from benchmarks.bench.figures import Figure, median_of_ratios
from benchmarks.bench.people import Person, crowd
from benchmarks.bench.yardsticks import celery_upsert, lists

from rollbook import Rollbook

BUFFERED_MORE: Final = 20
"""How many times more calls are buffered, for one round to be long enough."""


class Sending:
    """Nobody consumes: what is sent is thrown away after each turn."""

    keys: ClassVar[tuple[str, ...]] = ("enqueue_vs_delay", "buffered_vs_delay")

    def sides(self, bench: Bench) -> Sequence[str]:
        return []

    def steps(self, bench: Bench) -> int:
        return len(_Senders.names) * (bench.scale.rounds + 1)

    def run(self, bench: Bench) -> None:
        turns = bench.rounds()
        with _Senders(bench.ground.new_broker(), bench.scale.sends, bench.scale.users) as senders:
            for round_ in range(turns + 1):
                for name in in_any_order(_Senders.names):
                    bench.step(f"round {round_} of {turns}: {LABELS[name]}")
                    rate = senders.rate(name)
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
                    yardstick=bench.median_rate("delay"),
                    against=LABELS["delay"],
                    unit="calls/s",
                    size={"calls_a_round": bench.scale.sends * (BUFFERED_MORE if name == "buffered" else 1)},
                )
            )


class _Senders:
    names: ClassVar[tuple[str, ...]] = ("identify", "buffered", "delay", "lpush", "blpop")

    def __init__(self, broker_url: str, sends: int, known: int) -> None:
        self._sends = sends
        self._known = known
        self._rc = Rollbook(broker_url=broker_url)
        self._task = celery_upsert.celery_app(broker_url).tasks[celery_upsert.TASK]
        self._client = redis.Redis.from_url(broker_url)

    def __enter__(self) -> _Senders:
        return self

    def __exit__(self, *_: object) -> None:
        self._rc.close()
        self._client.close()

    def rate(self, name: str) -> float:
        turn: Callable[[Sequence[Person]], None] = getattr(self, f"_{name}")
        people = crowd(self._sends * (BUFFERED_MORE if name == "buffered" else 1), known=self._known)
        if name == "blpop":
            self._lpush(people)
        begin = time.perf_counter()
        turn(people)
        seconds = time.perf_counter() - begin
        self._client.flushdb()
        return len(people) / seconds

    def _identify(self, people: Sequence[Person]) -> None:
        for person in people:
            self._rc.users.identify(person.id, person.traits)

    def _buffered(self, people: Sequence[Person]) -> None:
        with self._rc.buffered() as buffered:
            for person in people:
                buffered.users.identify(person.id, person.traits)
            buffered.flush()

    def _delay(self, people: Sequence[Person]) -> None:
        for person in people:
            self._task.delay(person.id, person.traits)

    def _lpush(self, people: Sequence[Person]) -> None:
        lists.push(self._client, json.dumps(people[0].traits).encode(), len(people))

    def _blpop(self, people: Sequence[Person]) -> None:
        lists.pop(self._client, len(people))
