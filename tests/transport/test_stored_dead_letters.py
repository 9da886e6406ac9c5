"""Dead letters of the transport are stored with their reasons, listed and replayed."""

from __future__ import annotations

import json

import pytest
from kombu.message import Message
from tests.support.brokers import connect_to_broker
from tests.support.transport.consumers import Consumer, expire
from tests.support.transport.harness import envelope
from tests.support.waits import wait_until
from tests.support.worker_processes import Workers

from rollbook import Rollbook
from rollbook_shared.jobs.celery_task import DEFAULT_QUEUE
from rollbook_worker.celery_ext.dead_letters import dead_letter_message, job_in


def test_a_dead_letter_of_the_transport_can_be_replayed(database_url: str, broker_url: str, workers: Workers) -> None:
    with (
        connect_to_broker(broker_url) as client,
        Rollbook(database_url=database_url, broker_url=broker_url) as rb,
    ):
        client.flushdb()
        job = rb.users.identify("ann", {"plan": "pro"}, job_id="takes-workers-along")
        with Consumer(broker_url, (DEFAULT_QUEUE,), max_deliveries=1) as lost:
            lost.take(1)
            lost.vanish()
        expire(client)
        with Consumer(broker_url, ("elsewhere",), max_deliveries=1) as other:
            other.channel.qos.restore_expired()
        client.lpush(DEFAULT_QUEUE, b"\xff is no message")

        workers.start()

        wait_until(lambda: len(rb.jobs.list_dead_letters().items) == 2, what="two dead letters")
        dead_letters = {
            dead_letter.code: rb.jobs.get_dead_letter(dead_letter.id)
            for dead_letter in rb.jobs.list_dead_letters().items
        }
        assert dead_letters["malformed"].body == "\\xff is no message"
        assert (dead_letters["kills_worker"].id, dead_letters["kills_worker"].kind) == (job.id, "identify")
        assert job.status().state == "dead"
        assert "may kill its worker" in (job.status().reason or "")

        rb.jobs.replay(job.id)

        wait_until(lambda: job.status().state == "applied", what="applying")
        assert rb.users.get("ann").properties == {"plan": "pro"}


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "{}", '{"body": 7}', '{"body": "", "properties": {}}', '{"body": "[]", "properties": {}}'],
)
def test_a_message_without_a_job_is_kept_whole(text: str) -> None:
    assert job_in(text) == text


def test_the_job_in_a_message_is_found() -> None:
    assert job_in(envelope("the job")) == "the job"
    assert job_in('{"body": "[[\\"plain\\"], {}, {}]", "properties": {}}') == "plain"


@pytest.mark.parametrize(
    ("content", "encoding", "text"),
    [
        ('{"user_id": "zoë"}'.encode(), "utf-8", '{"user_id": "zoë"}'),
        ('{"user_id": "zoë"}'.encode("utf-16"), "utf-16", '{"user_id": "zoë"}'),
        ('{"user_id": "zoë"}'.encode("utf-16-le"), "binary", '{"user_id": "zoë"}'),
        ('{"user_id": "zoë"}'.encode("latin-1"), "latin-1", '{"user_id": "zoë"}'),
        (b"\xff\xfe junk", "utf-8", "\\xff\\xfe junk"),
        (b"junk", None, "junk"),
        ("junk", "utf-8", "junk"),
    ],
)
def test_the_content_of_a_message_is_kept_as_it_reads(content: object, encoding: str | None, text: str) -> None:
    message = Message(content, content_encoding=encoding)  # type: ignore[no-untyped-call]

    assert json.loads(dead_letter_message(message, "a reason").body)[0][0] == text
