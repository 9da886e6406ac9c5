"""Keys in the broker's Redis that are neither queues nor the transport's."""

from __future__ import annotations

from typing import Final

IDEMPOTENCY_PREFIX: Final = "rollbook:idempotency:"
"""Of the records of the HTTP server, one for each idempotency key of a write."""
WORKER_REPORTS: Final = "rollbook:workers"
"""A sorted set: which workers take jobs, and when each reported last."""
OUTBOX_REPORT: Final = "rollbook:outbox"
"""What the relay reported last of the outbox."""
