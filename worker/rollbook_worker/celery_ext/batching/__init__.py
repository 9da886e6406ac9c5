"""Waiting jobs, applied together."""

from rollbook_worker.celery_ext.batching.execution import Ended, Jobs
from rollbook_worker.celery_ext.batching.strategy import BATCH_TASK, STRATEGY, only_argument
from rollbook_worker.celery_ext.batching.trace_context import Sent

__all__ = ["BATCH_TASK", "STRATEGY", "Ended", "Jobs", "Sent", "only_argument"]
