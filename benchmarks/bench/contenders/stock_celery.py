"""Stock Celery on the prefork pool, with one of two tasks."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from benchmarks.bench.baselines import celery_orm, celery_upsert, stock_celery
from benchmarks.bench.contenders.plain_table import PlainTableContender
from benchmarks.bench.environment import Environment
from benchmarks.bench.users import UserRecord

from rollbook_ops.devstack.workers import responding_workers

_TASKS: Mapping[str, ModuleType] = {"orm": celery_orm, "upsert": celery_upsert}


class StockCelery(PlainTableContender):
    """One worker with several processes, as `celery worker` starts it."""

    queue = stock_celery.QUEUE

    def __init__(self, environment: Environment, name: str, *, known: int, task: str, processes: int) -> None:
        super().__init__(environment, name, known=known)
        self._module = _TASKS[task]
        self._children = processes
        self._host = f"{name}@bench"
        self._tasks: dict[str, Any] = {}

    def commands(self) -> Mapping[str, Sequence[str]]:
        options = ["--pool=prefork", f"--concurrency={self._children}", f"--hostname={self._host}"]
        manners = ["--without-gossip", "--without-mingle", "--loglevel=WARNING"]
        return {
            self.name: [
                *(sys.executable, "-m", "celery", f"--app={self._module.__name__}", "worker"),
                *(f"--queues={self.queue}", *options, *manners),
            ]
        }

    def is_listening(self) -> bool:
        return self._host in responding_workers(self.broker_url, [self._host])

    def stage_jobs(self, users: Sequence[UserRecord]) -> None:
        task = self.task_at(self.waiting_url)
        for user in users:
            task.delay(user.id, dict(user.traits))

    def send(self, user: UserRecord) -> None:
        self.task_at(self.broker_url).delay(user.id, dict(user.traits))

    def task_at(self, broker_url: str) -> Any:
        """The task of an application that sends to this broker."""
        if broker_url not in self._tasks:
            self._tasks[broker_url] = self._module.celery_app(broker_url).tasks[self._module.TASK]
        return self._tasks[broker_url]
