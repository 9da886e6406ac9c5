"""Messages of our own publishers go a shorter way to their batch, and become the same jobs as on the long one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from celery import signals
from celery.worker import state
from hypothesis import given
from hypothesis import strategies as st
from tests.support.batching.fake_consumer import IDENTIFY, FakeConsumer

from rollbook import Rollbook
from rollbook.publishing.celery_message import encode_task, task_arguments, task_headers, task_properties
from rollbook_worker.celery_ext.batching.usual_message import MAX_HEADER, usual_job
from rollbook_worker.celery_ext.consumer import RollbookConsumer
from rollbook_worker.celery_ext.transport.plain_message import DeliveredMessage

ID = "0192-a"
Change = Callable[[dict[str, Any]], None]


@pytest.fixture(autouse=True)
def _fresh_state() -> Iterator[None]:
    yield
    state.reset_state()


def message(job: object = "the job", *, id: str = ID) -> dict[str, Any]:
    """What our publishers send, decoded."""
    headers = task_headers(id=id, task=IDENTIFY, summary="ann")
    envelope = encode_task(headers, task_properties(id=id, queue="default"), task_arguments(job))
    parsed: dict[str, Any] = json.loads(envelope)
    return parsed


def job_in(envelope: Any) -> str | None:
    return usual_job(envelope, len(json.dumps(envelope)))


def test_the_job_comes_out_as_it_was_sent() -> None:
    assert job_in(message('{"v":1,"name":"Zoë \\"Z\\"\\n"}')) == '{"v":1,"name":"Zoë \\"Z\\"\\n"}'


@pytest.mark.parametrize(
    "send",
    [
        lambda rb: rb.users.identify("ann", {"name": "Ann", "bio": "\N{SNOWMAN} \\ \n"}),
        lambda rb: rb.users.bulk_identify([{"id": "ann", "plan": "pro"}]),
        lambda rb: rb.users.merge("ann", "guest"),
        lambda rb: rb.users.delete("ann"),
        lambda rb: rb.workflows.trigger("comment", ["ann", {"id": "bob", "name": "Bob"}], data={"n": 1}),
    ],
)
@pytest.mark.parametrize("buffered", [False, True])
def test_what_the_client_sends_is_usual(broker_url: str, send: Callable[[Any], object], buffered: bool) -> None:
    with Rollbook(broker_url=broker_url) as rb, redis.Redis.from_url(broker_url) as client:
        client.flushdb()
        if buffered:
            with rb.buffered() as buffer:
                send(buffer)
        else:
            send(rb)
        (queue,) = [key for key in client.scan_iter() if client.type(key) == b"list"]
        (raw,) = client.lrange(queue, 0, -1)

    envelope = json.loads(raw)
    assert usual_job(envelope, len(raw)) == json.loads(envelope["body"])[0][0]


def header(name: str, value: object) -> Change:
    return lambda envelope: envelope["headers"].update({name: value})


def body(*parts: object) -> Change:
    return lambda envelope: envelope.update(body=json.dumps(parts))


NOTHING_FOLLOWS = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
UNUSUAL: dict[str, Change] = {
    "to be run later": header("eta", "2026-01-01T00:00:00+00:00"),
    "expires": header("expires", "2026-01-01T00:00:00+00:00"),
    "tried before": header("retries", 1),
    "with a time limit": header("timelimit", [None, 5]),
    "under another name": header("shadow", "rollbook.newer"),
    "of a group": header("group", "a group"),
    "stamped": header("stamps", {"of": "a program"}),
    "redelivered": header("redelivered", True),
    "with a header of another program": header("sentry-trace", "1-2-3"),
    "compressed": header("compression", "application/x-gzip"),
    "with an id that is none": header("id", "a job"),
    "with a number as an id": header("id", 7),
    "with another root": header("root_id", "another"),
    "with arguments that show the job": header("argsrepr", "('{}',)"),
    "with arguments that are no text": header("argsrepr", None),
    "with named arguments that are shown": header("kwargsrepr", "{'job': 1}"),
    "without a header": lambda envelope: envelope["headers"].pop("argsrepr"),
    "without headers": lambda envelope: envelope.pop("headers"),
    "with headers that are none": lambda envelope: envelope.update(headers=[1]),
    "of another content type": lambda envelope: envelope.update({"content-type": "application/x-yaml"}),
    "of another encoding": lambda envelope: envelope.update({"content-encoding": "utf-16"}),
    "in base64": lambda envelope: envelope["properties"].update(body_encoding="base64"),
    "redelivered, says its place": lambda envelope: envelope["properties"]["delivery_info"].update(redelivered=True),
    "of a named consumer": lambda envelope: envelope["properties"]["delivery_info"].update(consumer_tag="1"),
    "without a place": lambda envelope: envelope["properties"].pop("delivery_info"),
    "with properties that are none": lambda envelope: envelope.update(properties=7),
    "without a body": lambda envelope: envelope.pop("body"),
    "with a body that is no JSON": lambda envelope: envelope.update(body="[["),
    "with a body that is no list": body(),
    "of two arguments": body(["the job", "another"], {}, NOTHING_FOLLOWS),
    "of an argument that is no text": body([{"v": 1}], {}, NOTHING_FOLLOWS),
    "of named arguments": body(["the job"], {"more": 1}, NOTHING_FOLLOWS),
    "with a task that follows": body(["the job"], {}, {**NOTHING_FOLLOWS, "callbacks": [{"task": "next"}]}),
    "large": lambda envelope: envelope.update(body=json.dumps([["x" * MAX_HEADER], {}, NOTHING_FOLLOWS])),
}


@pytest.mark.parametrize("change", UNUSUAL.values(), ids=UNUSUAL)
def test_anything_unusual_goes_the_long_way(change: Change) -> None:
    envelope = message()
    change(envelope)

    assert job_in(envelope) is None


@pytest.mark.parametrize("envelope", [None, 7, "text", [], {}, {"headers": {}}])
def test_what_is_no_message_goes_the_long_way(envelope: object) -> None:
    assert job_in(envelope) is None


@given(job=st.text(), trace=st.none() | st.sampled_from(["00-" + "a1" * 16 + "-" + "b2" * 8 + "-01", "broken"]))
def test_both_ways_lead_to_the_same_job(job: str, trace: str | None) -> None:
    envelope = message(job)
    if trace:
        envelope["headers"]["traceparent"] = trace
    short, long = FakeConsumer(), FakeConsumer()
    delivered = DeliveredMessage(envelope, "tag", 700, short.channel)

    found = usual_job(envelope, 700)
    assert found == job
    assert short.strategy.take(delivered, found)
    short.loop.run()
    long.strategy(delivered.message(), None, None, None, ())
    long.loop.run()

    assert [batch.messages for batch in short.batches] == [batch.messages for batch in long.batches] == [[job]]
    assert [[trace and trace.trace for trace in batch.traces] for batch in short.batches] == [
        [trace and trace.trace for trace in batch.traces] for batch in long.batches
    ]
    assert short.events == long.events


def revoke(consumer: FakeConsumer) -> None:
    state.revoked.add("another")


def revoke_stamped(consumer: FakeConsumer) -> None:
    state.revoked_stamps["of"] = "a program"


def limit_rate(consumer: FakeConsumer) -> None:
    consumer.consumer.task_buckets[IDENTIFY] = SimpleNamespace()


def add_callback(consumer: FakeConsumer) -> None:
    consumer.consumer.on_task_message.add(print)


@pytest.mark.parametrize("ask", [revoke, revoke_stamped, limit_rate, add_callback])
def test_what_must_see_each_message_sees_it(ask: Callable[[FakeConsumer], None]) -> None:
    consumer = FakeConsumer(usual=True)
    ask(consumer)
    consumer.receive("one")

    assert consumer.taken == 0


def test_a_receiver_of_the_signal_sees_each_message() -> None:
    seen: list[str] = []

    def see(request: Any, **_: object) -> None:
        seen.append(request.id)

    consumer = FakeConsumer(usual=True)
    signals.task_received.connect(see)
    try:
        (one,) = consumer.receive("one")
    finally:
        signals.task_received.disconnect(see)
    consumer.receive("two")

    assert (seen, consumer.taken) == ([one], 1)


def test_a_worker_takes_them() -> None:
    fake = FakeConsumer()
    channel = SimpleNamespace(take=None)
    worker: Any = RollbookConsumer.__new__(RollbookConsumer)
    worker.strategies = {IDENTIFY: fake.strategy}
    worker.on_task_message, worker.task_consumer = set(), SimpleNamespace(channel=channel)
    worker.create_task_handler()
    take: Any = channel.take
    unusual = message("two")
    unusual["headers"]["retries"] = 1

    assert take(DeliveredMessage(message("one"), "1", 700, fake.channel))
    assert not take(DeliveredMessage(unusual, "2", 700, fake.channel))
    assert not take(DeliveredMessage(message("three") | {"headers": {"task": "another"}}, "3", 700, fake.channel))
    fake.loop.run()
    assert [batch.messages for batch in fake.batches] == [["one"]]
