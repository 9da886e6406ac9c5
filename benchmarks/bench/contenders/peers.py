"""Other Python queues on Redis, with their default settings for two cores."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.bench.contenders.plain_table import PlainTableContender
from benchmarks.bench.users import UserRecord


class Dramatiq(PlainTableContender):
    """Two processes of eight threads, which is its default on two cores."""

    queue = "dramatiq:baseline"
    extra_keys = ("dramatiq:baseline.msgs",)
    _actors: dict[str, Any]

    def commands(self) -> Mapping[str, Sequence[str]]:
        module = "benchmarks.bench.baselines.dramatiq_upsert:broker"
        return {self.name: [sys.executable, "-m", "dramatiq", module, "--processes=2", "--threads=8"]}

    def stage_jobs(self, users: Sequence[UserRecord]) -> None:
        actor = self._actor_at(self.waiting_url)
        for user in users:
            actor.send(user.id, dict(user.traits))

    def send(self, user: UserRecord) -> None:
        self._actor_at(self.broker_url).send(user.id, dict(user.traits))

    def _actor_at(self, broker_url: str) -> Any:
        from benchmarks.bench.baselines.dramatiq_upsert import actor_at

        if not hasattr(self, "_actors"):
            self._actors = {}
        if broker_url not in self._actors:
            self._actors[broker_url] = actor_at(broker_url)
        return self._actors[broker_url]


class Taskiq(PlainTableContender):
    """Two processes, asynchronous, which is its default."""

    queue = "baseline"

    def commands(self) -> Mapping[str, Sequence[str]]:
        module = "benchmarks.bench.baselines.taskiq_upsert:broker"
        options = ["--workers=2", "--log-level=WARNING"]
        return {self.name: [sys.executable, "-m", "taskiq", "worker", module, *options]}

    def stage_jobs(self, users: Sequence[UserRecord]) -> None:
        asyncio.run(self._send_all(self.waiting_url, users))

    def send(self, user: UserRecord) -> None:
        asyncio.run(self._send_all(self.broker_url, [user]))

    async def _send_all(self, broker_url: str, users: Sequence[UserRecord]) -> None:
        from benchmarks.bench.baselines.taskiq_upsert import task_at

        # A broker belongs to the loop that it was first used in.
        task = task_at(broker_url)
        for user in users:
            await task.kiq(user.id, dict(user.traits))
        await task.broker.shutdown()
