"""A worker that logs as text and as JSON, and writes its spans: `celery -A tests.support.privacy.observed_app`.

WATCHED_LOG names the file of the log.
"""

from __future__ import annotations

import logging
import os
from typing import Any

from celery import signals
from tests.support.tracing.traced_app import app

from rollbook_shared.observability.logs import json_formatter
from rollbook_worker.observability.logs import current_job

__all__ = ["app"]


def log_twice(logger: logging.Logger, **_: Any) -> None:
    handler = logging.FileHandler(os.environ["WATCHED_LOG"])
    handler.setFormatter(json_formatter(current_job))
    logger.addHandler(handler)


signals.after_setup_logger.connect(log_twice)
signals.after_setup_task_logger.connect(log_twice)
