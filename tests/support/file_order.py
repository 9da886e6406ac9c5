"""The order of the test files for several processes: what takes longest first, so that all processes end at once."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from tests.support.repository import ROOT

LONGEST_FIRST: Final = (
    "demo/test_demo.py",
    "chaos/test_chaos.py",
    "cli/test_up.py",
    "store/test_contract.py",
    "robustness/test_worker.py",
    "timeouts/test_both_servers_down.py",
    "store/test_identify_log.py",
    "core/test_compaction.py",
    "timeouts/test_crashing_jobs.py",
    "sentinel/test_failover.py",
    "batching/test_workers.py",
    "rules/test_rules.py",
    "robustness/test_store.py",
    "producer/test_read_plans.py",
    "devstack/test_servers.py",
    "dashboard/test_flower.py",
    "deploy/test_compose_processes.py",
    "producer/test_user_list_laws.py",
    "producer/test_broker_failures.py",
    "producer/test_buffer_at_exit.py",
    "store/test_concurrency.py",
    "transport/test_no_loss.py",
    "acceptance/test_failures.py",
    "outbox/test_redis_loss.py",
    "producer/test_without_celery.py",
    "bench/test_contenders.py",
    "privacy/test_redis_acl.py",
    "privacy/test_personal_data.py",
    "docs/test_site.py",
    "operations/test_worker_start.py",
    "core/test_laws.py",
)
"""Measured; where it is wrong, a run takes a little longer."""
_PLACES: Final = {ROOT / "tests" / name: place for place, name in enumerate(LONGEST_FIRST)}


def sort_by_cost(items: list[pytest.Item]) -> None:
    """Put the longest files first. The order is the same in each process."""
    items.sort(key=lambda item: _PLACES.get(Path(item.path), len(_PLACES)))
