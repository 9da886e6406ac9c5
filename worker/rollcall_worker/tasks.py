"""The Celery tasks, one for each kind of job: each decodes and delegates to the store."""

from __future__ import annotations

import functools
import time
from typing import Any

from celery import Task
from celery.exceptions import Reject
from celery.utils.log import get_task_logger

from rollcall_shared.errors import Unavailable
from rollcall_shared.routing import TASKS
from rollcall_shared.settings import Settings
from rollcall_worker.app import app
from rollcall_worker.retrying import pause
from rollcall_worker.store import Arrival, Outcome, PostgresStore, Store

logger = get_task_logger(__name__)


@functools.cache
def store() -> Store:
    """This process's store; made when first needed, so that it is never shared across a fork."""
    return PostgresStore.from_settings(Settings.from_env())


def apply(task: Task[Any, Any], *args: object, **kwargs: object) -> str:
    """Apply the job that the message holds, its one argument; return how it ended, for those who watch.

    A message that is no job becomes a dead letter. When the store cannot be reached the job is sent again for later;
    until it is applied, it is never acknowledged without a successor.
    """
    message = args[0] if len(args) == 1 and not kwargs else (args, kwargs)
    try:
        (outcome,) = store().apply([Arrival.of(message)], now=time.time_ns() // 1000)
    except Unavailable as error:
        logger.warning("%s %s: %s; trying again", task.name, task.request.id, error)
        try:
            raise task.retry(exc=error, countdown=pause(task.request.retries), max_retries=None)
        except Reject:
            # the successor could not be sent: Celery would now drop the job
            raise Reject(error, requeue=True) from None
    return _said(outcome)


def _said(outcome: Outcome) -> str:
    return f"{outcome.state} ({outcome.code})" if outcome.code else str(outcome.state)


for _name in TASKS.values():
    app.task(bind=True, name=_name, typing=False)(apply)
