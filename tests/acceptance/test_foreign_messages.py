"""Messages of others on our queues do not block our jobs."""

from __future__ import annotations

import json
import pickle
from base64 import b64encode
from typing import Any

import psycopg
from celery import Celery
from tests.support.brokers import connect_to_broker
from tests.support.databases import OTHER_SCHEMA
from tests.support.waits import DEADLINE_SECONDS, wait_until
from tests.support.worker_processes import Workers

from rollbook import Rollbook
from rollbook_shared.database.schema import in_schema
from rollbook_shared.jobs.celery_task import DEFAULT_QUEUE, TASKS


def test_valid_jobs_are_applied_and_broken_messages_become_dead_letters(
    rb: Rollbook, workers: Workers, broker_url: str, database_url: str
) -> None:
    publisher = Celery(broker=broker_url)
    jobs: list[Any] = ["not json", "{}", '{"v": 9, "kind": "identify"}', '{"v": 1, "kind": "fly", "id": "f"}', 7, None]
    jobs.append('{"v": 1, "kind": "identify", "id": "bad-1", "occurred_at": 5, "user": {"id": ""}}')
    jobs.append("[" * 100_000)
    for job in jobs:
        publisher.send_task(TASKS["identify"], args=[job], queue=DEFAULT_QUEUE, ignore_result=True)
    publisher.send_task(TASKS["delete"], args=[], kwargs={"surprise": 1}, queue=DEFAULT_QUEUE, ignore_result=True)
    publisher.send_task("other.task", args=[1], queue=DEFAULT_QUEUE, ignore_result=True)
    _push_pickled(broker_url)
    good = [rb.users.identify(f"good-{number}", {}) for number in range(5)]

    worker = workers.start()

    for job in good:
        assert job.wait(DEADLINE_SECONDS).state == "applied"
    with psycopg.connect(database_url, autocommit=True) as connection:
        codes = in_schema("SELECT code, count(*) FROM rollbook.dead_letters GROUP BY code", OTHER_SCHEMA).encode()
        expected = {"malformed": 7, "unknown_version": 2, "unknown_kind": 1, "invalid": 1}
        wait_until(lambda: dict(connection.execute(codes).fetchall()) == expected, what="burying the broken jobs")
    assert rb.jobs.get("bad-1").state == "dead"
    assert worker.poll() is None
    wait_until(lambda: _length(broker_url) == 0, what="emptying the queue")


def _push_pickled(broker_url: str) -> None:
    """A message as a sender that pickles would make it."""
    with connect_to_broker(broker_url) as broker:
        body = b64encode(pickle.dumps(((1,), {}, {}))).decode()
        headers = {"id": "p1", "task": TASKS["identify"], "lang": "py"}
        delivery = {"exchange": "", "routing_key": DEFAULT_QUEUE}
        properties = {"delivery_tag": "p1", "body_encoding": "base64", "delivery_mode": 2, "delivery_info": delivery}
        message = {
            "body": body,
            "content-encoding": "binary",
            "content-type": "application/x-python-serialize",
            "headers": headers,
            "properties": properties | {"priority": 0},
        }
        broker.lpush(DEFAULT_QUEUE, json.dumps(message))


def _length(broker_url: str) -> int:
    with connect_to_broker(broker_url) as broker:
        return int(broker.llen(DEFAULT_QUEUE)) + int(broker.hlen("unacked"))
