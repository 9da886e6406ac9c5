"""A worker's log with Celery's own lines: as lines of JSON, if `ROLLBOOK_LOG_FORMAT` says so, or as text.

Celery sets up its handlers from `--loglevel` and `--logfile`; then this gives them another formatter.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from celery import current_task
from celery.utils.log import get_multiprocessing_logger

from rollbook_shared.jobs.celery_task import TASK_PREFIX, TASKS
from rollbook_shared.observability.logs import EscapingFormatter, json_formatter, trace_ids
from rollbook_shared.settings import LogFormat, Settings
from rollbook_worker.celery_ext.batching import BATCH_TASK


def check_formatter(settings: Settings) -> None:
    """Fail before the worker starts.

    Raises:
        NotConfigured: JSON is wanted, and the extra `logs` is not installed.
    """
    if settings.log_format is LogFormat.JSON:
        json_formatter()


def set_formatter(logger: logging.Logger, **_: Any) -> None:
    """For the signals `after_setup_logger` and `after_setup_task_logger`."""
    as_json = json_formatter(current_job) if Settings.from_env().log_format is LogFormat.JSON else None
    for source in (logger, get_multiprocessing_logger()):
        for handler in source.handlers:
            if isinstance(handler, logging.StreamHandler):
                handler.setFormatter(as_json or _escaping(handler.formatter))


def _escaping(formatter: logging.Formatter | None) -> logging.Formatter:
    if isinstance(formatter, EscapingFormatter):  # both signals may name one handler
        return formatter
    return EscapingFormatter(formatter or logging.Formatter())


def hide_banner(instance: Any, **_: Any) -> None:
    """For the signal `celeryd_init`: a program that reads JSON cannot read a banner."""
    if Settings.from_env().log_format is LogFormat.JSON:
        instance.quiet = True


def current_job(record: logging.LogRecord) -> dict[str, Any]:
    """Which job or batch a record is about: the one that Celery names in it, or the one that this thread is running or
    has just finished, with its span.
    """
    data = getattr(record, "data", None)
    if not current_task:
        return _fields(data.get("name"), data.get("id")) if isinstance(data, Mapping) else {}
    request = current_task.request
    fields = _fields(current_task.name, request.id)
    if current_task.name == BATCH_TASK:
        fields["jobs"] = len(request.args[0])
    if span := getattr(request, "rollbook_span", None):
        fields |= trace_ids(span)
    return fields


def _fields(task: object, id_: object) -> dict[str, Any]:
    if task == BATCH_TASK:
        return {"batch_id": id_}
    if task in TASKS.values():
        return {"job_id": id_, "kind": str(task).removeprefix(TASK_PREFIX)}
    return {}
