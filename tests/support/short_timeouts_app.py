"""For `celery -A tests.support.short_timeouts_app`: Rollbook's workers with a task time limit of a second.

A pool process has a second to accept a task.
"""

from __future__ import annotations

from rollbook_worker.app import app
from rollbook_worker.celery_ext.batching import watchdog

__all__ = ["app"]

app.conf.task_time_limit = 1
watchdog.ACCEPT_WITHIN_SECONDS = 1.0  # type: ignore[misc]
