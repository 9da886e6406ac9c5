"""A pool process that accepts no more work is replaced, and its job applied by another."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
from tests.support.waits import DEADLINE_SECONDS
from tests.support.worker_processes import Workers

from rollbook import Rollbook


def test_a_stuck_pool_process_is_replaced(database_url: str, broker_url: str, tmp_path: Path) -> None:
    workers = Workers(database_url, broker_url, tmp_path)
    with Rollbook(database_url=database_url, broker_url=broker_url) as rb:
        try:
            worker = workers.spawn(pool="prefork", threads=1, app="tests.support.short_timeouts_app")
            assert rb.users.identify("bo").wait(DEADLINE_SECONDS).state == "applied"
            (process,) = psutil.Process(worker.pid).children()
            os.kill(process.pid, signal.SIGSTOP)

            assert rb.users.identify("ann", {"plan": "pro"}).wait(DEADLINE_SECONDS).state == "applied"

            assert not process.is_running()
            assert "restarting 1 idle processes" in workers.log()
        finally:
            workers.stop()
