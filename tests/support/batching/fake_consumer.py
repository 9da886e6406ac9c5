"""A consumer without a broker, a pool and a clock. A test does what the pool would do."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import count
from types import SimpleNamespace
from typing import Any

from celery.bootsteps import CLOSE, RUN
from celery.worker import state
from kombu.transport.virtual.base import Message

from rollbook.publishing.celery_message import encode_task, task_arguments, task_headers, task_properties
from rollbook_worker.app import app
from rollbook_worker.celery_ext.batching import Batch, BatchResult
from rollbook_worker.celery_ext.batching.strategy import BatchingStrategy, batching_strategy
from rollbook_worker.celery_ext.batching.usual_message import usual_job
from rollbook_worker.celery_ext.job_failures import JobFailed
from rollbook_worker.celery_ext.transport.plain_message import DeliveredMessage, PlainMessage

IDENTIFY = "rollbook.identify"
_numbers = count()

app.loader.import_default_modules()


class Loop:
    """Celery's event loop, turned by hand."""

    def __init__(self) -> None:
        self.on_close: set[Callable[[Any], None]] = set()
        self._soon: list[Callable[[], Any]] = []

    def call_soon(self, call: Callable[..., Any], *args: Any) -> None:
        self._soon.append(lambda: call(*args))

    def run(self) -> None:
        """Turn until there is nothing left to do."""
        while self._soon:
            calls, self._soon = self._soon, []
            for call in calls:
                call()


class SubmittedBatch:
    """A batch in the pool."""

    def __init__(self, loop: Loop, batch: Batch, options: dict[str, Any]) -> None:
        self.messages = batch.messages
        self.traces = batch.traces
        self._loop = loop
        self._options = options

    def begin(self, pid: int = 4711) -> None:
        self._options["accept_callback"](pid, time.monotonic())
        self._loop.run()

    def end(self, outcomes: Iterable[str | JobFailed] | None = None, unavailable: str | None = None) -> None:
        """The store has answered; by default all are applied."""
        all_applied = ["applied"] * len(self.messages)
        self._options["callback"](BatchResult([*(all_applied if outcomes is None else outcomes)], unavailable))
        self._loop.run()

    def fail(self) -> None:
        """The task has raised."""
        self._options["callback"](None)
        self._loop.run()

    def lose(self) -> None:
        """Its process is gone."""
        self._options["error_callback"](None)
        self._loop.run()


class FakeConsumer:
    """A worker's consumer, and what it did with the messages it was given.

    usual: messages with nothing special come as our publishers write them, and are taken before kombu's are made.
    """

    def __init__(self, *, slots: int = 1, events: bool = True, usual: bool = False) -> None:
        self.loop = Loop()
        self.batches: list[SubmittedBatch] = []
        self.individual: list[Any] = []
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.acknowledged: list[str] = []
        self.extended: list[str] = []
        self.taken = 0
        """Messages that were taken before kombu's were made."""
        self._usual = usual
        self.later: list[Callable[[], Any]] = []
        eventer = SimpleNamespace(
            enabled=events,
            skips_tasks=False,
            send=self._event,
            send_all=self._send_all,
            send_in_groups=lambda hub, timer: None,
            flush=lambda: None,
        )
        self.consumer: Any = _Hashable(
            app=app,
            hub=self.loop,
            pool=SimpleNamespace(num_processes=slots, uses_semaphore=False, apply_async=self._apply),
            restart_count=0,
            event_dispatcher=eventer,
            timer=SimpleNamespace(call_after=lambda seconds, call: self.later.append(call), call_at=self._call_at),
            controller=SimpleNamespace(state=state),
            hostname="worker@stage",
            connection_errors=(ConnectionError,),
            disable_rate_limits=False,
            task_buckets=defaultdict(lambda: None),
            qos=SimpleNamespace(increment_eventually=lambda n=1: None, decrement_eventually=lambda n=1: None),
            initial_prefetch_count=400,
            on_task_message=set(),
            call_soon_ack=self.loop.call_soon,
            on_task_request=self.individual.append,
            apply_eta_task=None,
            _limit_task=lambda request, bucket, tokens: self.individual.append(request),
            _limit_post_eta=None,
            blueprint=SimpleNamespace(state=RUN),
        )
        self._handle = batching_strategy(app.tasks[IDENTIFY], app, self.consumer)
        self.channel = _Hashable(
            message_to_python=lambda message: message,
            decode_body=lambda body, encoding: body,
            basic_ack=lambda tag, multiple=False: self.acknowledged.append(tag),
            no_ack_consumers=set(),
            extend_leases=self.extended.extend,
            Message=PlainMessage,
        )

    def receive(self, *jobs: object, **headers: Any) -> list[str]:
        """Messages come from the broker, all in one read; returns their ids."""
        ids = [self.receive_message([[job], {}, {}], **headers) for job in jobs]
        self.loop.run()
        return ids

    def receive_message(self, payload: object, **headers: Any) -> str:
        """A message with this content comes; returns its id."""
        id_ = f"stage-{next(_numbers)}"
        if self._usual and not headers and self._take(id_, payload):
            return id_
        message = Message(  # type: ignore[no-untyped-call]
            {
                "body": json.dumps(payload),
                "content-type": "application/json",
                "content-encoding": "utf-8",
                "headers": {"task": IDENTIFY, "id": id_, "argsrepr": "(...)", **headers},
                "properties": {"delivery_tag": id_, "delivery_info": {"exchange": "", "routing_key": "default"}},
            },
            channel=self.channel,
        )
        self._handle(message, None, lambda *_: self.acknowledged.append(id_), lambda *_: None, ())
        return id_

    def _take(self, id_: str, payload: object) -> bool:
        """A message of our publishers comes, with this content; return whether it was taken."""
        match payload:
            case [[str(job)], named, following] if not named and not following:
                arguments = task_arguments(job)
            case _:
                return False
        properties = task_properties(id=id_, queue="default")
        raw = encode_task(task_headers(id=id_, task=IDENTIFY, summary="..."), properties, arguments)
        delivered = DeliveredMessage(json.loads(raw), id_, len(raw), self.channel)
        found = usual_job(delivered.envelope, delivered.size)
        taken = found == job and self.strategy.take(delivered, job)
        self.taken += taken
        return taken

    @property
    def strategy(self) -> BatchingStrategy:
        """What handles the messages."""
        assert isinstance(self._handle, BatchingStrategy)
        return self._handle

    def reconnect(self) -> None:
        self.consumer.restart_count += 1
        self._handle = batching_strategy(app.tasks[IDENTIFY], app, self.consumer)

    def shut_down(self) -> None:
        self.consumer.blueprint.state = CLOSE

    def let_time_pass(self, times: int = 1) -> None:
        """Until everything is due that is to happen later."""
        for _ in range(times):
            calls, self.later[:] = [*self.later], []
            for call in calls:
                call()
            self.loop.run()

    def events_of(self, id_: str) -> list[str]:
        """The types of the events of one job, in order."""
        return [type_ for type_, fields in self.events if fields["uuid"] == id_]

    def _apply(self, target: object, args: tuple[Any, ...], **options: Any) -> None:
        self.batches.append(SubmittedBatch(self.loop, args[2], options))

    def _event(self, type_: str, **fields: Any) -> None:
        self.events.append((type_, fields))

    def _send_all(self, type_: str, several: Iterable[dict[str, Any]]) -> None:
        self.events.extend((type_, fields) for fields in several)

    def _call_at(self, when: float, call: object, args: tuple[Any, ...], priority: int = 0) -> object:
        self.individual.append(args[0])
        return object()


class _Hashable(SimpleNamespace):
    __hash__ = object.__hash__  # type: ignore[assignment]  # as Celery's, which is known by itself
