"""A job that raises an unexpected error becomes a dead letter, and delays no other."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.brokers import connect_to_broker
from tests.support.event_listener import EventListener
from tests.support.waits import DEADLINE_SECONDS, wait_until
from tests.support.worker_processes import Workers

from rollbook import Rollbook


@pytest.mark.parametrize("batch", ["1", "200"])
def test_a_job_that_raises_an_unexpected_error_becomes_a_dead_letter(
    database_url: str, broker_url: str, tmp_path: Path, batch: str
) -> None:
    workers = Workers(database_url, broker_url, tmp_path)
    with (
        Rollbook(database_url=database_url, broker_url=broker_url) as rb,
        connect_to_broker(broker_url) as broker,
        EventListener(broker_url) as events,
    ):
        before = [rb.users.identify(f"before-{number}") for number in range(20)]
        met = rb.users.identify("mia", {"plan": "pro"}, job_id=f"raising-{batch}")
        after = [rb.users.identify(f"after-{number}") for number in range(20)]
        try:
            worker = workers.spawn("raising", "--include", "tests.support.raising_app", ROLLBOOK_BATCH_SIZE=batch)

            assert {job.wait(DEADLINE_SECONDS).state for job in (*before, *after)} == {"applied"}
            status = met.wait(DEADLINE_SECONDS)
            assert (status.state, status.code) == ("dead", "unexpected_error")
            shown = events.wait_for_state(met.id, "FAILURE", exception="DeadLettered('unexpected_error')")
            assert shown.name == "rollbook.identify"
            assert "an unexpected error" not in repr(vars(shown))
            wait_until(lambda: broker.llen("default") + broker.hlen("unacked") == 0, what="an empty queue")
            assert worker.poll() is None
        finally:
            workers.stop()

        mended = workers.start("mended")
        try:
            assert rb.jobs.replay(f"raising-{batch}", timeout=DEADLINE_SECONDS).state == "applied"
            assert mended.poll() is None
            assert events.wait_for_state(met.id, "SUCCESS").exception is None
        finally:
            workers.stop()
    assert "an unexpected error" in workers.log("raising")
