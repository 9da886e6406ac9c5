"""Waiting jobs, applied together."""

from rollcall_worker.batching.executing import Ended, Jobs
from rollcall_worker.batching.sent import Sent
from rollcall_worker.batching.strategy import BATCH_TASK, STRATEGY, only_argument

__all__ = ["BATCH_TASK", "STRATEGY", "Ended", "Jobs", "Sent", "only_argument"]
