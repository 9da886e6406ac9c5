"""For `celery -A tests.support.hurried`: Rollcall's workers, whose tasks are ended after a second."""

from __future__ import annotations

from rollcall_worker.app import app

__all__ = ["app"]

app.conf.task_time_limit = 1
