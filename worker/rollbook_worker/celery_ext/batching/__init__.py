"""Applies pending jobs in batches, one transaction for many jobs."""

from rollbook_worker.celery_ext.batching.batch import Batch, BatchResult, TraceContext
from rollbook_worker.celery_ext.batching.strategy import BATCH_TASK, STRATEGY, only_argument

__all__ = ["BATCH_TASK", "STRATEGY", "Batch", "BatchResult", "TraceContext", "only_argument"]
