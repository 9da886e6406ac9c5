"""The spans of deliveries: one for each attempt, in the trace of the trigger, which a sender's own spans continue."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import redis
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode
from tests.support.builders import user
from tests.support.deliveries import MAIL, REGISTRY, DeliveryStore
from tests.support.senders.deliveries import channel, delivery
from tests.support.senders.memory_deliveries import MemoryDeliveries, ScriptedSender, sent
from tests.support.tracing.batches import SENT
from tests.support.tracing.spans import RecordedSpans, parent_of_children

from rollbook import AsyncRollbook, DeliveryFailed, Rollbook
from rollbook.models import Delivery
from rollbook_delivery.process.channel_loop import ChannelLoop
from rollbook_delivery.process.observer import ChannelObserver
from rollbook_delivery.results import Failed, Result
from rollbook_delivery.senders.factory import make_sender
from rollbook_delivery.senders.sender import Sender
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Trigger
from rollbook_shared.observability.tracing import storable_trace
from rollbook_shared.registry import DeliveryMethod
from rollbook_worker.store import ReceivedJob

SECRET = "ann@example.com"


@pytest.fixture(scope="module")
def delivery_store(database_url: str) -> Iterator[DeliveryStore]:
    store = DeliveryStore(database_url)
    yield store
    store.close()


@pytest.fixture
def worker(delivery_store: DeliveryStore) -> DeliveryStore:
    delivery_store.reset()
    return delivery_store


@pytest.fixture
def registry(tmp_path: Path) -> str:
    path = tmp_path / "registry.toml"
    path.write_text(REGISTRY)
    return str(path)


def send_to_ann(worker: DeliveryStore, trace: str | None, seconds_ahead: int = 0) -> None:
    """Let a worker make a mail for Ann, by a trigger that was sent in this trace and takes effect so much later."""
    trigger = Trigger(
        id="hello",
        occurred_at=worker.now() + seconds_ahead * 1_000_000,
        workflow="hello",
        recipients=(user("ann", email=SECRET),),
        actor=None,
        channels=MAIL,
    )
    worker.store.apply([ReceivedJob.of(encode(trigger), trace)])


def parent(span: ReadableSpan) -> str:
    """The header that the span continues."""
    assert span.parent is not None
    return f"00-{span.parent.trace_id:032x}-{span.parent.span_id:016x}-01"


def deliver_one(sender: Sender, trace: str | None = None) -> MemoryDeliveries:
    """Deliver one message by this sender."""
    queue = MemoryDeliveries()
    queue.waiting.append(delivery(id="m0", trace=trace))

    async def work() -> None:
        loop = ChannelLoop("mail", sender, queue, lambda _: None, ChannelObserver("mail", None))
        task = asyncio.ensure_future(loop.run())
        await queue.until(lambda: bool(queue.reported))
        loop.stop()
        await task

    asyncio.run(work())
    return queue


def test_a_celery_task_continues_the_trace_of_its_delivery(
    recorded: RecordedSpans, broker_url: str, client: redis.Redis
) -> None:
    options = {"task": "shop.push", "queue": "push", "broker_env": "SHOP_BROKER"}
    sender = make_sender(channel(DeliveryMethod.CELERY, options), {"SHOP_BROKER": broker_url})
    assert sender is not None

    deliver_one(sender)

    (span,) = recorded.named("deliver mail")
    (task,) = client.lrange("push", 0, -1)
    assert json.loads(task)["headers"]["traceparent"] == parent_of_children(span)
    assert span.kind is SpanKind.PRODUCER
    assert dict(span.attributes or {}) == {
        "messaging.operation.name": "deliver",
        "messaging.operation.type": "send",
        "messaging.message.id": "m0",
        "rollbook.channel": "mail",
        "rollbook.attempt": 1,
        "rollbook.outcome": "sent",
    }


def test_a_failed_attempt_is_a_failed_span_without_an_address(recorded: RecordedSpans) -> None:
    async def fails(_: Delivery) -> Result:
        return Failed(reason="the mail server rejects the recipient (550)", permanent=True)

    deliver_one(ScriptedSender(fails))

    (span,) = recorded.named("deliver mail")
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == "the mail server rejects the recipient (550)"
    assert "ann@example.com" not in span.to_json()


def test_an_attempt_is_in_the_trace_of_the_trigger(recorded: RecordedSpans) -> None:
    deliver_one(ScriptedSender(sent), SENT[0])

    (span,) = recorded.named("deliver mail")
    assert parent(span) == SENT[0]


@pytest.mark.servers
def test_own_code_that_sends_is_in_the_trace_of_the_trigger(
    recorded: RecordedSpans, worker: DeliveryStore, registry: str
) -> None:
    send_to_ann(worker, f"{SENT[0]} vendor=a")

    with Rollbook(database_url=worker.url, registry=registry) as rb:
        (claimed,) = rb.deliveries.claim("mail")
        with rb.deliveries.attempt(claimed):
            recorded.tracer.start_span("their request").end()

    (span,) = recorded.named("deliver mail")
    (theirs,) = recorded.named("their request")
    assert claimed.trace == f"{SENT[0]} vendor=a"
    assert (parent(span), parent(theirs)) == (SENT[0], parent_of_children(span))
    assert (span.attributes or {})["rollbook.outcome"] == "sent"


@pytest.mark.servers
@pytest.mark.parametrize("trace", [f"{SENT[0]} vendor=a", None])
def test_what_a_deferred_trigger_sends_is_in_its_trace(worker: DeliveryStore, registry: str, trace: str | None) -> None:
    # a day: a few minutes are a clock that is wrong, and no deferral
    send_to_ann(worker, trace, seconds_ahead=86_400)
    assert worker.rows() == []

    assert worker.store.dispatcher.release_due(now=worker.now() + 86_401 * 1_000_000) == 1

    worker.later(timedelta(seconds=86_402))
    with Rollbook(database_url=worker.url, registry=registry) as rb:
        (claimed,) = rb.deliveries.claim("mail")
    assert claimed.trace == trace


@pytest.mark.servers
def test_own_code_that_fails_is_a_failed_span_without_its_reason(
    recorded: RecordedSpans, worker: DeliveryStore, registry: str
) -> None:
    send_to_ann(worker, None)

    async def fail() -> None:
        async with AsyncRollbook(database_url=worker.url, registry=registry) as rb:
            (claimed,) = await rb.deliveries.claim("mail")
            async with rb.deliveries.attempt(claimed):
                raise DeliveryFailed(f"{SECRET} is unknown", permanent=True)

    asyncio.run(fail())

    (span,) = recorded.named("deliver mail")
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["rollbook.outcome"] == "undeliverable"
    assert SECRET not in span.to_json()
    assert worker.states() == {"ann": ("undeliverable", f"{SECRET} is unknown")}


@pytest.mark.parametrize(
    ("trace", "kept"),
    [
        (SENT[0], SENT[0]),
        (f"{SENT[0]} vendor=a,other=b", f"{SENT[0]} vendor=a,other=b"),
        (f"{SENT[0]} vendor=\x00", SENT[0]),
        (f"{SENT[0]} {'a' * 513}", SENT[0]),
        (f"{SENT[0][:-1]}0", None),  # it is not recorded
        ("\x00" + SENT[0], None),
        ("x" * 60, None),
        ("", None),
        (None, None),
    ],
)
def test_only_what_is_a_trace_that_is_recorded_is_kept(trace: str | None, kept: str | None) -> None:
    assert storable_trace(trace) == kept
