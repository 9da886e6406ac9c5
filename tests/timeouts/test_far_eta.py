"""A message with a far `eta` is taken at once: a worker would hold it in memory, and take nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from celery import Celery
from tests.support.brokers import connect_to_broker
from tests.support.builders import identify
from tests.support.waits import DEADLINE_SECONDS, wait_until
from tests.support.worker_processes import Workers

from rollbook import Rollbook
from rollbook_shared.jobs.celery_task import DEFAULT_QUEUE, TASKS
from rollbook_shared.jobs.codec import encode
from rollbook_worker.celery_ext.consumer import MAX_ETA, is_far_ahead
from rollbook_worker.store.retry import RETRY

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MESSAGES, MEGABYTES = 34, 2


@pytest.mark.parametrize(
    ("eta", "is_far"),
    [
        (None, False),
        ("", False),
        ("tomorrow", False),
        (7, False),
        ("2026-01-01T00:01:00+00:00", False),
        ("2026-01-01T00:01:00", False),
        ("2026-01-01T01:01:00+01:00", False),
        ("2025-01-01T00:00:00+00:00", False),
        ((NOW + MAX_ETA).isoformat(), False),
        ((NOW + MAX_ETA + timedelta(seconds=1)).isoformat(), True),
        ("2026-01-01T00:05:00", True),
        ("2030-01-01T00:00:00+00:00", True),
        ("9999-12-31T23:59:59", True),
    ],
)
def test_an_eta_is_far_that_no_retry_has(eta: object, is_far: bool) -> None:
    assert is_far_ahead(eta, NOW) is is_far


def test_no_retry_waits_as_long() -> None:
    assert timedelta(seconds=RETRY.longest) < MAX_ETA


def test_large_messages_with_a_far_eta_stop_no_worker(workers: Workers, rb: Rollbook, broker_url: str) -> None:
    far = datetime.now(UTC) + timedelta(days=1_000)
    with Celery(broker=broker_url, set_as_current=False) as sender, connect_to_broker(broker_url) as broker:
        for number in range(MESSAGES):
            job = identify("far", at=1, job=f"far-{number}", large="x" * (MEGABYTES * 1_000_000))
            sender.send_task(
                TASKS["identify"], args=[encode(job)], queue=DEFAULT_QUEUE, eta=far, ignore_result=True, task_id=job.id
            )
        workers.start()

        assert rb.users.identify("beside").wait(DEADLINE_SECONDS).state == "applied"
        wait_until(lambda: not broker.llen(DEFAULT_QUEUE) and not broker.hlen("unacked"), what="an empty queue")
