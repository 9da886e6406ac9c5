"""A message in Redis equals the one that Celery publishes, and the signals of Celery report it."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest
import redis
from celery import Celery, signals
from kombu.entity import Queue
from tests.support.brokers import connect_to_broker
from tests.support.builders import bulk_identify, delete, identify, merge, trigger, user
from tests.support.waits import DEADLINE_SECONDS

from rollbook import NotSent, Rollbook
from rollbook.publishing.celery_message import CeleryMessage
from rollbook.publishing.direct import DirectPublisher
from rollbook_shared.jobs.celery_task import QUEUES, EncodedJob
from rollbook_shared.jobs.codec import decode
from rollbook_shared.jobs.models import Job

ODD = 'é \u2028 "quoted" back\\slash \U0001f600 \x7f </script>'
JOBS = [
    identify("u1", plan="pro", at=1),
    identify("ann@example.com", text=ODD, deep={"__type__": "date", "__value__": [1, 2.5, None, True]}, at=2, job="j2"),
    bulk_identify(user("u1"), user("u2", text=ODD), at=3),
    delete("ü", at=4, job="j4"),
    merge("u1", "u2", at=5),
    trigger("hello", ["u1"], at=6),
]


@pytest.fixture
def client(broker_url: str) -> Iterator[redis.Redis]:
    with connect_to_broker(broker_url) as client:
        client.flushdb()
        yield client


@pytest.fixture
def celery(broker_url: str) -> Iterator[Any]:
    """Celery as it comes, with our queues."""
    app = Celery("stock", broker=broker_url, set_as_current=False)
    app.conf.task_queues = [Queue(name) for name in QUEUES]  # type: ignore[no-untyped-call]
    with app:
        yield app


@pytest.fixture
def publisher(broker_url: str) -> Iterator[DirectPublisher]:
    publisher = DirectPublisher(broker_url)
    yield publisher
    publisher.close()


def sent_by_celery(celery: Any, job: EncodedJob, queue: str) -> None:
    celery.send_task(
        f"rollbook.{job.kind}",
        args=[job.body],
        task_id=job.id,
        queue=queue,
        ignore_result=True,
        argsrepr=job.summary,
        kwargsrepr="",
    )


def opened(item: bytes) -> dict[str, Any]:
    message = json.loads(item)
    is_base64 = message["properties"].pop("body_encoding", None) == "base64"  # as Celery writes it, and we do not
    return {**message, "body": json.loads(base64.b64decode(message["body"]) if is_base64 else message["body"])}


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.kind)
def test_a_message_equals_that_of_celery(
    job: Job, client: redis.Redis, celery: Any, publisher: DirectPublisher
) -> None:
    queue = CeleryMessage.of(EncodedJob.of(job)).queue
    sent_by_celery(celery, EncodedJob.of(job), queue)
    publisher.publish(job)

    ours, theirs = [opened(item) for item in cast("list[bytes]", client.lrange(queue, 0, -1))]
    assert ours["properties"].pop("delivery_tag") != theirs["properties"].pop("delivery_tag")
    # Where results would go; and two of the headers, which Celery lets slip among the properties as well.
    assert ours["properties"].pop("reply_to") == ""
    assert abs(ours["properties"].pop("timestamp") - time.time()) < 60
    for name in ("reply_to", "argsrepr", "kwargsrepr"):
        del theirs["properties"][name]
    assert ours == theirs
    assert {key for key in cast("list[bytes]", client.keys("*")) if not key.startswith(b"_kombu")} == {queue.encode()}


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.kind)
def test_kombu_reads_a_job(job: Job, client: redis.Redis, celery: Any, publisher: DirectPublisher) -> None:
    publisher.publish(job)

    with celery.connection_for_read() as connection:
        queue = connection.SimpleQueue(CeleryMessage.of(EncodedJob.of(job)).queue)
        message = queue.get(timeout=DEADLINE_SECONDS)
        ((text,), kwargs, _) = message.decode()
        message.ack()
    assert decode(text) == job
    assert kwargs == {}
    assert client.hlen("unacked") == 0


def test_buffered_users_make_the_message_of_a_bulk_job(
    client: redis.Redis, publisher: DirectPublisher, broker_url: str
) -> None:
    with Rollbook(broker_url=broker_url) as rb, rb.buffered() as gathering:
        job = gathering.users.identify("u1", {"text": ODD})
        gathering.users.identify("u2")
    (gathered,) = cast("list[bytes]", client.lrange("bulk", 0, -1))
    ((text,), _, _) = opened(gathered)["body"]
    client.flushdb()
    publisher.publish(decode(text))

    (sent,) = cast("list[bytes]", client.lrange("bulk", 0, -1))
    assert opened(gathered)["headers"] == opened(sent)["headers"]
    assert opened(gathered)["headers"]["id"] == job.id
    assert opened(gathered)["headers"]["argsrepr"] == "2 users"


def test_jobs_sent_together_keep_their_order_in_each_queue(client: redis.Redis, publisher: DirectPublisher) -> None:
    jobs = [
        EncodedJob.of(job)
        for number in range(1_200)
        for job in (delete(f"u{number}", at=number), bulk_identify(user(f"u{number}"), at=number))
    ]
    publisher.publish_many(jobs)

    for queue, kind in (("default", "delete"), ("bulk", "bulk_identify")):
        arrived = [json.loads(item)["headers"]["id"] for item in cast("list[bytes]", client.lrange(queue, 0, -1))]
        assert arrived[::-1] == [job.id for job in jobs if job.kind == kind]


def test_large_jobs_sent_together_all_arrive(client: redis.Redis, publisher: DirectPublisher) -> None:
    jobs = [EncodedJob.of(identify(f"u{number}", text="x" * 300_000, at=number)) for number in range(10)]

    publisher.publish_many(jobs)

    assert client.llen("default") == 10


def test_a_job_sent_twice_is_two_messages_to_acknowledge(client: redis.Redis, publisher: DirectPublisher) -> None:
    job = delete("u1", at=1)
    publisher.publish(job)
    publisher.publish(job)

    tags = {opened(item)["properties"]["delivery_tag"] for item in cast("list[bytes]", client.lrange("default", 0, -1))}
    assert len(tags) == 2


@contextmanager
def watched(signal: Any) -> Iterator[list[dict[str, Any]]]:
    signals_sent: list[dict[str, Any]] = []

    def receive(**what: Any) -> None:
        signals_sent.append(what)
        if signal is signals.before_task_publish:
            what["headers"]["traceparent"] = "00-abc-def-01"

    signal.connect(receive)
    try:
        yield signals_sent
    finally:
        signal.disconnect(receive)


def test_tracers_can_add_headers(client: redis.Redis, broker_url: str) -> None:
    with (
        watched(signals.before_task_publish) as before,
        watched(signals.after_task_publish) as after,
        Rollbook(broker_url=broker_url) as rb,
    ):
        job = rb.users.delete("u1")

    (item,) = cast("list[bytes]", client.lrange("default", 0, -1))
    assert opened(item)["headers"]["traceparent"] == "00-abc-def-01"
    for (signals_sent,), keys in ((before, {"body", "properties", "declare"}), (after, {"body"})):
        assert signals_sent["sender"] == "rollbook.delete"
        assert (signals_sent["exchange"], signals_sent["routing_key"]) == ("", "default")
        assert signals_sent["headers"]["id"] == job.id
        assert keys <= signals_sent.keys()


def test_no_signal_reports_a_job_that_was_not_sent() -> None:
    with (
        watched(signals.after_task_publish) as after,
        Rollbook(broker_url="redis://127.0.0.1:1/0") as rb,
        pytest.raises(NotSent),
    ):
        rb.users.delete("u1")

    assert after == []
