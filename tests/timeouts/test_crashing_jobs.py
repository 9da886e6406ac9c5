"""A job that kills its process is retried individually a few times, and then becomes a dead letter."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.brokers import connect_to_broker
from tests.support.event_listener import EventListener
from tests.support.waits import DEADLINE_SECONDS, wait_until
from tests.support.worker_processes import Workers

from rollbook import Rollbook

INCLUDED = ("--include", "tests.support.crashing_app")


@pytest.mark.slow
def test_a_job_that_kills_its_process_becomes_a_dead_letter(database_url: str, broker_url: str, tmp_path: Path) -> None:
    workers = Workers(database_url, broker_url, tmp_path)
    with (
        Rollbook(database_url=database_url, broker_url=broker_url) as rb,
        connect_to_broker(broker_url) as broker,
        EventListener(broker_url) as events,
    ):
        before = [rb.users.identify(f"before-{number}") for number in range(20)]
        crashing = rb.users.identify("mia", {"plan": "pro"}, job_id="crashing-1")
        after = [rb.users.identify(f"after-{number}") for number in range(20)]
        try:
            worker = workers.spawn("prefork", *INCLUDED, pool="prefork", threads=2, ROLLBOOK_MAX_DELIVERIES="2")

            assert {job.wait(DEADLINE_SECONDS).state for job in (*before, *after)} == {"applied"}
            status = crashing.wait(DEADLINE_SECONDS)
            assert (status.state, status.code) == ("dead", "kills_worker")
            shown = events.wait_for_state("crashing-1", "FAILURE")
            assert (shown.name, shown.exception) == ("rollbook.identify", "DeadLettered('kills_worker')")
            assert {"task-retried", "task-failed"} <= {*events.types["crashing-1"]}
            assert events.types["crashing-1"].count("task-failed") == 1
            assert rb.users.identify("later").wait(DEADLINE_SECONDS).state == "applied"
            wait_until(lambda: broker.llen("default") + broker.hlen("unacked") == 0, what="an empty queue")
            assert worker.poll() is None
        finally:
            workers.stop()
        dead_letter = rb.jobs.get_dead_letter("crashing-1")
        assert dead_letter.kind == "identify"
        assert "mia" in (dead_letter.body or "")

        healthy = workers.start("healthy")
        try:
            assert rb.jobs.replay("crashing-1", timeout=DEADLINE_SECONDS).state == "applied"
            assert healthy.poll() is None
        finally:
            workers.stop()
    assert workers.log("prefork").count("crashing-1") < 50
