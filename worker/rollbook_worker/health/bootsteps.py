"""A Celery worker's health: two bootsteps, Celery's way of adding to a worker.

The worker is alive while its event loop turns. While it connects there is no loop: Celery sleeps between its tries, and
says nothing. So the loop is asked for its beat only from the moment the consumer takes jobs until it loses its
connection.

With `--pool solo` the loop stands still while a job runs, which must be short then.
"""

from __future__ import annotations

from time import monotonic
from typing import Any, Final

from celery import bootsteps
from celery.signals import worker_shutdown

from rollbook_shared.observability.health_file import HealthState
from rollbook_shared.observability.heartbeat import EVERY_SECONDS, Heartbeat

SILENCE_SECONDS: Final = 5.0
"""A loop that has not turned for so long hangs; a turn takes milliseconds."""


class Heart(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery ships no types
    """Tells how the worker is, from its start until the last of its jobs has ended."""

    requires = ("celery.worker.components:Timer",)

    def __init__(self, worker: Any, **options: Any) -> None:
        worker.rollbook_heart = self
        self._beat: float | None = None
        self._beating = Heartbeat(worker.app.conf.rollbook_health_file, self.state)
        super().__init__(worker, **options)

    def include_if(self, worker: Any) -> bool:
        return bool(worker.app.conf.rollbook_health_file)

    def start(self, worker: Any) -> None:
        self._beating.start()
        # not in `stop`: that may come before the pool's, which waits for the last jobs
        worker_shutdown.connect(self._ended, sender=worker)

    def _ended(self, **_: Any) -> None:
        self._beating.stop()

    def beat(self) -> None:
        """The loop turns."""
        self._beat = monotonic()

    def rest(self) -> None:
        """There is no loop for now."""
        self._beat = None

    def state(self) -> HealthState | None:
        beat = self._beat
        if beat is None:
            return HealthState.WAITING
        return HealthState.READY if monotonic() - beat < SILENCE_SECONDS else None


class Pulse(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery ships no types
    """Has the consumer's loop beat while it takes jobs."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def include_if(self, consumer: Any) -> bool:
        return bool(consumer.app.conf.rollbook_health_file)

    def start(self, consumer: Any) -> None:
        heart: Heart = consumer.controller.rollbook_heart
        heart.beat()
        # Celery cancels what is added to its timer while connecting, when the connection ends.
        consumer.timer.call_repeatedly(EVERY_SECONDS, heart.beat)

    def stop(self, consumer: Any) -> None:
        consumer.controller.rollbook_heart.rest()


def add_health(app: Any) -> None:
    """Have the workers of this application tell how they are, where the setting `rollbook_health_file` says."""
    app.steps["worker"].add(Heart)
    app.steps["consumer"].add(Pulse)
