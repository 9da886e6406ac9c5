"""Monitors the periodic tasks: logs, counts, and reports whether maintenance is healthy."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from time import monotonic
from typing import Protocol

from rollbook_shared.errors import NotConfigured, Unavailable
from rollbook_shared.observability.health_file import HealthState

logger = logging.getLogger(__name__)


class MaintenanceMetrics(Protocol):
    """Counts the runs of tasks. `rollbook_worker.observability.metrics` needs an extra, so it is not imported here."""

    def record_maintenance(self, task: str, seconds: float) -> None:
        """A run has ended well."""

    def record_maintenance_failure(self, task: str) -> None:
        """A run has failed."""


class MaintenanceMonitor:
    """Follows the runs of each task. Each task has a thread, and another thread asks for the state."""

    def __init__(self, clock: Callable[[], float] = monotonic, metrics: MaintenanceMetrics | None = None) -> None:
        self._clock = clock
        self._metrics = metrics
        self._started: dict[str, float] = {}
        self._deadlines: dict[str, float] = {}
        self._failing: set[str] = set()

    def started(self, name: str, max_seconds: float | None) -> None:
        """A run starts. It hangs if it takes longer than `max_seconds`; None: it may take any time."""
        self._started[name] = now = self._clock()
        if max_seconds is not None:
            self._deadlines[name] = now + max_seconds

    def succeeded(self, name: str) -> None:
        """The run has ended well."""
        self._deadlines.pop(name, None)
        self._failing.discard(name)
        if self._metrics:
            self._metrics.record_maintenance(name, self._clock() - self._started[name])

    def failed(self, name: str, error: Exception) -> None:
        """The run has failed, and will be retried."""
        self._deadlines.pop(name, None)
        self._failing.add(name)
        if self._metrics:
            self._metrics.record_maintenance_failure(name)
        if isinstance(error, Unavailable | NotConfigured):
            logger.warning("maintenance: %s: %s; trying again", name, error, extra={"task": name})
            return
        # the traceback without the error's text, which may quote personal data
        where = "".join(traceback.format_tb(error.__traceback__))
        logger.error(
            "maintenance: %s failed (%s); trying again\n%s", name, type(error).__name__, where, extra={"task": name}
        )

    def state(self) -> HealthState | None:
        """The state of maintenance; None if a run hangs."""
        now = self._clock()
        if any(deadline < now for deadline in list(self._deadlines.values())):
            return None
        return HealthState.WAITING if self._failing else HealthState.READY
