"""A stock Celery application: the defaults, without results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from celery import Celery

QUEUE: Final = "baseline"


def make_app(name: str, broker_url: str, task: str, function: Callable[[str, dict[str, Any]], None]) -> Celery:
    """An application with one task.

    Everything else is Celery's default: a task is acknowledged before it runs, which is fastest.
    """
    app = Celery(name, set_as_current=False)
    app.conf.update(
        broker_read_url=broker_url,
        broker_write_url=broker_url,
        task_ignore_result=True,
        task_default_queue=QUEUE,
        broker_connection_retry_on_startup=True,
    )
    app.task(name=task)(function)
    return app
