"""For `celery -A tests.support.hurried`: Rollbook's workers, whose tasks are ended after a second, and whose processes
have a second to take one.
"""

from __future__ import annotations

from rollbook_worker.app import app
from rollbook_worker.celery_ext.batching import watchdog

__all__ = ["app"]

app.conf.task_time_limit = 1
watchdog.TAKEN_WITHIN_SECONDS = 1.0  # type: ignore[misc]
