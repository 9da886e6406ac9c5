"""The workers' Celery application as we ship it, with leases short enough to be outlasted."""

from __future__ import annotations

from benchmarks.chaos.kinds import LEASE_SECONDS, STOCK_SECONDS

from rollbook_worker.app import app

app.conf.broker_transport_options = app.conf.broker_transport_options | {
    "lease": LEASE_SECONDS,
    "visibility_timeout": STOCK_SECONDS,
    "unacked_restore_interval": 1,
}

__all__ = ["app"]
