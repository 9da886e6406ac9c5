"""The figures that maintenance measures every few seconds, by name: those of the metrics, without a Prometheus.

A figure is a number. One that could not be measured, because its server was away, is absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

EVERY_SECONDS: Final = 10
"""Maintenance measures at each multiple of so many seconds."""
KEPT_SECONDS: Final = 3_600
"""Measurements are kept for so long."""

FIGURES: Final[Mapping[str, str]] = {
    "queue_jobs.default": "Jobs that wait in the queue `default`.",
    "queue_jobs.bulk": "Jobs that wait in the queue `bulk`.",
    "queue_oldest_seconds.default": "Age of the oldest job in the queue `default`.",
    "queue_oldest_seconds.bulk": "Age of the oldest job in the queue `bulk`.",
    "inflight_jobs": "Jobs that workers have claimed and not acknowledged.",
    "unprocessable_messages": "Messages in Redis that could not be stored as dead letters.",
    "workers": "Workers that have reported in the last half minute.",
    "workers.default": "Those of them that take jobs from the queue `default`.",
    "workers.bulk": "Those of them that take jobs from the queue `bulk`.",
    "outbox_unsent": "Jobs in the outbox that the relay has not sent; absent without a relay.",
    "outbox_unfinished": "Jobs in the outbox that were sent and are not finished.",
    "outbox_oldest_seconds": "Age of the oldest job in the outbox that is not finished.",
    "jobs_per_second": "Jobs that were applied, or rejected.",
    "dead_letters_per_second": "Jobs that became dead letters.",
    "latency_seconds.p50": "Half of the jobs were applied so soon after they happened.",
    "latency_seconds.p95": "95 of 100 jobs were.",
    "latency_seconds.p99": "99 of 100 jobs were.",
    "deferred_jobs": "Deferred jobs.",
    "deferred_overdue_seconds": "Seconds since the first due job was due.",
    "dead_letters": "Stored dead letters.",
    "deliveries_due": "Deliveries that a sender may claim.",
    "deliveries_oldest_due_seconds": "Seconds since the first of these became due.",
    "deliveries_per_second.sent": "Deliveries that were sent.",
    "deliveries_per_second.undeliverable": "Deliveries that were given up.",
    "deliveries_per_second.skipped": "Deliveries that were skipped.",
    "lock_waits": "Transactions that wait for a lock on Rollbook's tables.",
}
"""What each figure says. The name of a metric is `rollbook_` and the name before the dot."""
