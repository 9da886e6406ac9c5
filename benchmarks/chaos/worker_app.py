"""The workers' Celery application as it is deployed, with leases so short that faults outlast them."""

from __future__ import annotations

from benchmarks.chaos.fault_kinds import LEASE_SECONDS, STOCK_SECONDS

from rollbook_worker.app import app

app.conf.broker_transport_options = app.conf.broker_transport_options | {
    "lease": LEASE_SECONDS,
    "visibility_timeout": STOCK_SECONDS,
    "unacked_restore_interval": 1,
}

__all__ = ["app"]
