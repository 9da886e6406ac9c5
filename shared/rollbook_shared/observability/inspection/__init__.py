"""The state of Redis and Postgres: what waits and what is overdue. For `rollbook doctor` and for metrics."""

from rollbook_shared.observability.inspection.lock_waits import LockWaits, find_lock_waits
from rollbook_shared.observability.inspection.postgres_backlog import Backlog, DeadLetterCount, find_backlog
from rollbook_shared.observability.inspection.queues import VISIBILITY_SECONDS, InFlight, Queue, Queues, find_queues

__all__ = [
    "VISIBILITY_SECONDS",
    "Backlog",
    "DeadLetterCount",
    "InFlight",
    "LockWaits",
    "Queue",
    "Queues",
    "find_backlog",
    "find_lock_waits",
    "find_queues",
]
