"""A worker's log as lines of JSON, Celery's own among them, where the setting says so.

Celery sets its handlers up as `--loglevel` and `--logfile` say; then they are given another formatter.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from celery import current_task
from celery.utils.log import get_multiprocessing_logger

from rollbook_shared.jobs.routing import TASK_PREFIX, TASKS
from rollbook_shared.observability.logs import json_formatter, trace_ids
from rollbook_shared.settings import LogFormat, Settings
from rollbook_worker.celery_ext.batching import BATCH_TASK


def need_formatter(settings: Settings) -> None:
    """Fail before the worker starts.

    Raises:
        NotConfigured: JSON is wanted, and the extra `logs` is not installed.
    """
    if settings.log_format is LogFormat.JSON:
        json_formatter()


def log_as_set(logger: logging.Logger, **_: Any) -> None:
    """For the signals `after_setup_logger` and `after_setup_task_logger`."""
    if Settings.from_env().log_format is not LogFormat.JSON:
        return
    formatter = json_formatter(in_hand)
    for each in (logger, get_multiprocessing_logger()):
        for handler in each.handlers:
            if isinstance(handler, logging.StreamHandler):
                handler.setFormatter(formatter)


def print_no_banner(instance: Any, **_: Any) -> None:
    """For the signal `celeryd_init`: what reads JSON has no use for a picture."""
    if Settings.from_env().log_format is LogFormat.JSON:
        instance.quiet = True


def in_hand(record: logging.LogRecord) -> dict[str, Any]:
    """Which job or batch a record is about: the one that Celery names in it, or the one that this thread has in hand,
    and the span of that, also when it has just ended.
    """
    data = getattr(record, "data", None)
    if not current_task:
        return _named(data.get("name"), data.get("id")) if isinstance(data, Mapping) else {}
    request = current_task.request
    named = _named(current_task.name, request.id)
    if current_task.name == BATCH_TASK:
        named["jobs"] = len(request.args[0])
    if span := getattr(request, "rollbook_span", None):
        named |= trace_ids(span)
    return named


def _named(task: object, id_: object) -> dict[str, Any]:
    if task == BATCH_TASK:
        return {"batch_id": id_}
    if task in TASKS.values():
        return {"job_id": id_, "kind": str(task).removeprefix(TASK_PREFIX)}
    return {}
