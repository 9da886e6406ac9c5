"""Other Python queues on Redis, in their default setting for two cores."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.bench.people import Person
from benchmarks.bench.sides.plain import PlainSide


class Dramatiq(PlainSide):
    """Two processes of eight threads, which is its default on two cores."""

    queue = "dramatiq:yardstick"
    beside = ("dramatiq:yardstick.msgs",)
    _actors: dict[str, Any]

    def commands(self) -> Mapping[str, Sequence[str]]:
        module = "benchmarks.bench.yardsticks.dramatiq_upsert:broker"
        return {self.name: [sys.executable, "-m", "dramatiq", module, "--processes=2", "--threads=8"]}

    def stage_jobs(self, people: Sequence[Person]) -> None:
        actor = self._actor_at(self.waiting_url)
        for person in people:
            actor.send(person.id, dict(person.traits))

    def send(self, person: Person) -> None:
        self._actor_at(self.broker_url).send(person.id, dict(person.traits))

    def _actor_at(self, broker_url: str) -> Any:
        from benchmarks.bench.yardsticks.dramatiq_upsert import actor_at

        if not hasattr(self, "_actors"):
            self._actors = {}
        if broker_url not in self._actors:
            self._actors[broker_url] = actor_at(broker_url)
        return self._actors[broker_url]


class Taskiq(PlainSide):
    """Two processes, asynchronous, which is its default."""

    queue = "yardstick"

    def commands(self) -> Mapping[str, Sequence[str]]:
        module = "benchmarks.bench.yardsticks.taskiq_upsert:broker"
        options = ["--workers=2", "--log-level=WARNING"]
        return {self.name: [sys.executable, "-m", "taskiq", "worker", module, *options]}

    def stage_jobs(self, people: Sequence[Person]) -> None:
        asyncio.run(self._send_all(self.waiting_url, people))

    def send(self, person: Person) -> None:
        asyncio.run(self._send_all(self.broker_url, [person]))

    async def _send_all(self, broker_url: str, people: Sequence[Person]) -> None:
        from benchmarks.bench.yardsticks.taskiq_upsert import task_at

        # A broker belongs to the loop that it was first used in.
        task = task_at(broker_url)
        for person in people:
            await task.kiq(person.id, dict(person.traits))
        await task.broker.shutdown()
