"""The application of the transport's tests: its tasks record in Redis what they did, and need no Postgres.

TRANSPORT_BROKER, TRANSPORT_OPTIONS and TRANSPORT_STOCK select the broker, its options, and the stock transport.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import threading
import time
from contextlib import suppress
from typing import Any, Final

import celery.worker.worker
import redis
from celery import Celery
from kombu.entity import Exchange, Queue
from tests.support.waits import DEADLINE_SECONDS

from rollbook_worker.celery_ext.transport import LeasedConnection

QUEUES: Final = ("first", "second", "third", "fourth")
DONE: Final = "done"
RUNS: Final = "runs"


class RecordingApp(Celery):  # type: ignore[misc]  # Celery ships no types
    """Consumes as Rollbook's own application does."""

    def connection_for_read(self, url: str | None = None, **options: Any) -> Any:
        connection = super().connection_for_read(url, **options)
        return connection if os.environ.get("TRANSPORT_STOCK") else LeasedConnection.like(connection)


def _queue(name: str) -> Queue:
    return Queue(name, Exchange(name), routing_key=name)  # type: ignore[no-untyped-call]


def make_app(broker: str, **options: Any) -> RecordingApp:
    app = RecordingApp("workload", set_as_current=False)
    app.conf.update(
        broker_read_url=broker,
        broker_write_url=broker,
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_queues=[_queue(name) for name in QUEUES],
        task_default_queue=QUEUES[0],
        task_create_missing_queues=False,
        worker_consumer="rollbook_worker.celery_ext.signals:UninterruptedConsumer",
        worker_prefetch_multiplier=10,
        worker_lost_wait=0.5,
        worker_disable_rate_limits=True,
        worker_enable_prefetch_count_reduction=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_channel_error_retry=True,
        broker_transport_options={
            "lease": 1.5,
            "visibility_timeout": 4,
            "unacked_restore_interval": 0.5,
            "unacked_restore_throttle": 1,
            "unacked_mutex_expire": 2,
            "priority_steps": [0],
            "socket_timeout": 5,
            "socket_connect_timeout": 2,
        }
        | options,
    )
    # not shared with the process's other applications: Rollbook's own has a task of that last name
    app.task(_note, name="note", shared=False)
    app.task(_linger, name="linger", shared=False)
    app.task(_die, name="die", shared=False)
    app.task(_dead_letter, name="rollbook.dead_letter", shared=False)
    return app


_making = threading.Lock()


def _ledger() -> redis.Redis:
    # one at a time: a second one that lost the race would close its connections under the thread that uses them
    with _making:
        return _ledger_of(os.getpid())


@functools.cache
def _ledger_of(pid: int) -> redis.Redis:
    return redis.Redis.from_url(os.environ["TRANSPORT_BROKER"], socket_timeout=DEADLINE_SECONDS)


def _note(job: object) -> None:
    """Say that the job was done."""
    while True:
        pipeline = _ledger().pipeline()
        pipeline.rpush("order", json.dumps(job))
        pipeline.sadd(DONE, json.dumps(job))
        pipeline.incr(RUNS)
        with suppress(redis.RedisError):  # a test cuts connections: a task that fails would be taken for lost
            pipeline.execute()
            return


def _linger(job: object, until: str = "go") -> None:
    """Say that the job was begun, work until the key `until` is there, and say that it was done."""
    ledger = _ledger()
    ledger.rpush("begun", json.dumps(job))
    while not ledger.exists(until):
        time.sleep(0.01)
    _note(job)


def _sleep(seconds: float) -> None:
    """What Celery does during a soft shutdown; ends early, when the key `wake` is there."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not _ledger().exists("wake"):
        time.sleep(0.01)


def _die(job: object) -> None:
    """Take the process along."""
    _ledger().incr("deaths")
    os.kill(os.getpid(), signal.SIGKILL)


def _dead_letter(text: str, reason: str, code: str) -> None:
    _ledger().rpush("dead_letters", code)


if broker := os.environ.get("TRANSPORT_BROKER"):
    assert celery.worker.worker.sleep is time.sleep
    celery.worker.worker.sleep = _sleep
    app = make_app(broker, **json.loads(os.environ.get("TRANSPORT_OPTIONS", "{}")))
