"""A job that exceeds Celery's time limit in a pool of processes goes back to its queue."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from tests.support.brokers import connect_to_broker
from tests.support.event_listener import EventListener
from tests.support.waits import DEADLINE_SECONDS, wait_until
from tests.support.worker_processes import Workers

from rollbook import Rollbook


def test_a_job_that_exceeded_the_time_limit_is_applied_later(
    database_url: str, broker_url: str, tmp_path: Path, locked: Callable[[str], AbstractContextManager[None]]
) -> None:
    workers = Workers(database_url, broker_url, tmp_path)
    with (
        Rollbook(database_url=database_url, broker_url=broker_url) as rb,
        connect_to_broker(broker_url) as broker,
        EventListener(broker_url) as events,
    ):
        try:
            workers.spawn(
                pool="prefork", threads=1, app="tests.support.short_timeouts_app", ROLLBOOK_LOCK_TIMEOUT_SECONDS="29"
            )
            assert rb.users.identify("bo").wait(DEADLINE_SECONDS).state == "applied"

            with locked("LOCK TABLE rollbook.users IN EXCLUSIVE MODE"):
                slow = rb.users.identify("ann", {"plan": "pro"})
                wait_until(lambda: "Hard time limit" in workers.log(), what="ending it")
                wait_until(lambda: "task-retried" in events.types.get(slow.id, []), what="Flower seeing it")

            assert slow.wait(DEADLINE_SECONDS).state == "applied"
            wait_until(lambda: broker.llen("default") + broker.hlen("unacked") == 0, what="an empty queue")
            shown = events.wait_for_state(slow.id, "SUCCESS")
            assert (shown.exception, shown.result) == (None, "'applied'")
            assert "task-failed" not in events.types[slow.id]
        finally:
            workers.stop()
