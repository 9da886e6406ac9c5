"""Stock Celery on the prefork pool, with one of two tasks."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from benchmarks.bench.ground import Ground
from benchmarks.bench.people import Person
from benchmarks.bench.sides.plain import PlainSide
from benchmarks.bench.yardsticks import celery_orm, celery_upsert, stock

from rollbook_ops.devstack.workers import responding_workers

_TASKS: Mapping[str, ModuleType] = {"orm": celery_orm, "upsert": celery_upsert}


class StockCelery(PlainSide):
    """One worker with several processes, as `celery worker` starts it."""

    queue = stock.QUEUE

    def __init__(self, ground: Ground, name: str, *, known: int, task: str, processes: int) -> None:
        super().__init__(ground, name, known=known)
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

    def stage_jobs(self, people: Sequence[Person]) -> None:
        task = self.task_at(self.waiting_url)
        for person in people:
            task.delay(person.id, dict(person.traits))

    def send(self, person: Person) -> None:
        self.task_at(self.broker_url).delay(person.id, dict(person.traits))

    def task_at(self, broker_url: str) -> Any:
        """The task, as an application that sends to this broker has it."""
        if broker_url not in self._tasks:
            self._tasks[broker_url] = self._module.celery_app(broker_url).tasks[self._module.TASK]
        return self._tasks[broker_url]
