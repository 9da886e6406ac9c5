"""The health of a Celery worker: two boot steps, Celery's way of extending a worker.

The worker is alive while its event loop turns. While it connects there is no loop: Celery sleeps between its attempts.
So the loop must beat only from the time when the consumer takes jobs until it loses its connection.

With `--pool solo` the loop stands still while a job runs; jobs must be short then.
"""

from __future__ import annotations

from time import monotonic
from typing import Any, Final

from celery import bootsteps
from celery.signals import worker_shutdown

from rollbook_shared.observability.health_file import HealthState
from rollbook_shared.observability.heartbeat import EVERY_SECONDS, Heartbeat

MAX_TURN_SECONDS: Final = 5.0
"""A loop that has not turned for so long hangs; a turn takes milliseconds."""


class WorkerHealth(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery ships no types
    """Writes the heartbeat file, from the worker's start until the last of its jobs has ended."""

    requires = ("celery.worker.components:Timer",)

    def __init__(self, worker: Any, **options: Any) -> None:
        worker.rollbook_health = self
        self._last_turn: float | None = None
        self._takes_jobs = True
        self._heartbeat = Heartbeat(worker.app.conf.rollbook_health_file, self.state)
        super().__init__(worker, **options)

    def include_if(self, worker: Any) -> bool:
        return bool(worker.app.conf.rollbook_health_file)

    def start(self, worker: Any) -> None:
        self._heartbeat.start()
        # not in `stop`, which may come before the pool's: that one waits for the last jobs
        worker_shutdown.connect(self._ended, sender=worker)

    def _ended(self, **_: Any) -> None:
        self._heartbeat.stop()

    def loop_turned(self, *, takes_jobs: bool) -> None:
        """The loop turns. `takes_jobs`: the queues are those of this worker's database."""
        self._last_turn = monotonic()
        self._takes_jobs = takes_jobs

    def loop_ended(self) -> None:
        """There is no loop for now."""
        self._last_turn = None

    def state(self) -> HealthState | None:
        last_turn = self._last_turn
        if last_turn is None:
            return HealthState.WAITING
        if monotonic() - last_turn >= MAX_TURN_SECONDS:
            return None
        return HealthState.READY if self._takes_jobs else HealthState.WAITING


class LoopHealth(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery ships no types
    """Reports the turns of the consumer's loop while it takes jobs."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def include_if(self, consumer: Any) -> bool:
        return bool(consumer.app.conf.rollbook_health_file)

    def start(self, consumer: Any) -> None:
        health: WorkerHealth = consumer.controller.rollbook_health

        def turned() -> None:
            # Celery's own transport takes what it finds
            health.loop_turned(takes_jobs=getattr(consumer.task_consumer.channel, "takes_messages", True))

        turned()
        # Celery cancels a timer that is added while it connects when that connection ends
        consumer.timer.call_repeatedly(EVERY_SECONDS, turned)

    def stop(self, consumer: Any) -> None:
        consumer.controller.rollbook_health.loop_ended()


def add_health(app: Any) -> None:
    """Let the workers of this application write the heartbeat file that the setting `rollbook_health_file` names."""
    app.steps["worker"].add(WorkerHealth)
    app.steps["consumer"].add(LoopHealth)
