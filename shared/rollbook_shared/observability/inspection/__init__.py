"""The state of Redis and Postgres: what waits and what is overdue. For `rollbook doctor` and for metrics."""

from rollbook_shared.observability.inspection.delivery_backlog import (
    DueDeliveries,
    RecentDeliveries,
    find_due_deliveries,
    find_recent_deliveries,
)
from rollbook_shared.observability.inspection.lock_waits import LockWaits, find_lock_waits
from rollbook_shared.observability.inspection.postgres_backlog import Backlog, DeadLetterCount, find_backlog
from rollbook_shared.observability.inspection.queues import VISIBILITY_SECONDS, InFlight, Queue, Queues, find_queues
from rollbook_shared.observability.inspection.reports import (
    REPORT_SECONDS,
    OutboxReport,
    Worker,
    find_outbox_report,
    find_workers,
    report_outbox,
    report_worker,
)

__all__ = [
    "REPORT_SECONDS",
    "VISIBILITY_SECONDS",
    "Backlog",
    "DeadLetterCount",
    "DueDeliveries",
    "InFlight",
    "LockWaits",
    "OutboxReport",
    "Queue",
    "Queues",
    "RecentDeliveries",
    "Worker",
    "find_backlog",
    "find_due_deliveries",
    "find_lock_waits",
    "find_outbox_report",
    "find_queues",
    "find_recent_deliveries",
    "find_workers",
    "report_outbox",
    "report_worker",
]
