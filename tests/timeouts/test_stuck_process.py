"""Pool processes that accept no more work, or do not end."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
from tests.support.brokers import connect_to_broker
from tests.support.waits import DEADLINE_SECONDS, wait_until
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


def test_a_worker_that_is_asked_to_stop_at_once_waits_for_no_stuck_pool_process(
    database_url: str, broker_url: str, tmp_path: Path
) -> None:
    workers = Workers(database_url, broker_url, tmp_path)
    with Rollbook(database_url=database_url, broker_url=broker_url) as rb, connect_to_broker(broker_url) as broker:
        try:
            worker = workers.spawn(pool="prefork", threads=1)
            assert rb.users.identify("bo").wait(DEADLINE_SECONDS).state == "applied"
            wait_until(lambda: not broker.hlen("unacked"), what="acknowledging it")
            (process,) = psutil.Process(worker.pid).children()
            os.kill(process.pid, signal.SIGSTOP)
            rb.users.identify("cy")
            wait_until(lambda: broker.hlen("unacked"), what="claiming it")

            worker.send_signal(signal.SIGQUIT)
            worker.wait(DEADLINE_SECONDS)

            assert "killing 1 pool processes that do not end" in workers.log()
            assert "Traceback" not in workers.log()
            assert not process.is_running()
            assert (broker.llen("default"), broker.hlen("unacked")) == (1, 0)
        finally:
            workers.stop()
