"""Monitors the periodic tasks: logs, counts, and reports whether maintenance is healthy."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

from rollbook_shared.errors import Unavailable
from rollbook_shared.observability.health_file import HealthState

if TYPE_CHECKING:
    from rollbook_worker.observability.metrics import WorkerMetrics

logger = logging.getLogger(__name__)


class MaintenanceMonitor:
    """Is told when a task's turn begins and ends. Each task has a thread; a state is asked for from another."""

    def __init__(self, clock: Callable[[], float] = monotonic, metrics: WorkerMetrics | None = None) -> None:
        self._clock = clock
        self._metrics = metrics
        self._since: dict[str, float] = {}
        self._until: dict[str, float] = {}
        self._failing: set[str] = set()

    def begun(self, name: str, longest: float | None) -> None:
        """A turn begins, and hangs if it takes longer than `longest` seconds (None: it may take its time)."""
        self._since[name] = now = self._clock()
        if longest is not None:
            self._until[name] = now + longest

    def done(self, name: str) -> None:
        """It has ended well."""
        self._until.pop(name, None)
        self._failing.discard(name)
        if self._metrics:
            self._metrics.record_maintenance(name, self._clock() - self._since[name])

    def failed(self, name: str, error: Exception) -> None:
        """It came to nothing; it will be tried again."""
        self._until.pop(name, None)
        self._failing.add(name)
        if self._metrics:
            self._metrics.record_maintenance_failure(name)
        if isinstance(error, Unavailable):
            logger.warning("maintenance: %s: %s; trying again", name, error, extra={"task": name})
            return
        # where, but not what it says: that may quote personal data
        where = "".join(traceback.format_tb(error.__traceback__))
        logger.error(
            "maintenance: %s failed (%s); trying again\n%s", name, type(error).__name__, where, extra={"task": name}
        )

    def state(self) -> HealthState | None:
        """How maintenance is; None: it hangs."""
        now = self._clock()
        if any(until < now for until in list(self._until.values())):
            return None
        return HealthState.WAITING if self._failing else HealthState.READY
