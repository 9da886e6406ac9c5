"""Waiting jobs, applied together."""

from rollbook_worker.batching.executing import Ended, Jobs
from rollbook_worker.batching.sent import Sent
from rollbook_worker.batching.strategy import BATCH_TASK, STRATEGY, only_argument

__all__ = ["BATCH_TASK", "STRATEGY", "Ended", "Jobs", "Sent", "only_argument"]
