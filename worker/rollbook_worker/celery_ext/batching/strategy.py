"""What a worker does with a job's message: Celery's extension point for it, `app.task(..., Strategy=STRATEGY)`.

Celery's own strategy makes a `Request` of each message and hands it to the pool. This one makes the same request and
lets it wait for others. It keeps its events, state and acknowledgement, so that Flower and `celery inspect` see jobs
and not batches. Some jobs run individually, as tasks of their own: those with what a batch cannot honour (an ETA, a
time limit of their own, callbacks, a rate limit), and those that were tried before. So do all jobs if there is no event
loop, or if `ROLLBOOK_BATCH_SIZE` is 1.

The acknowledgement follows the commit. If anything fails before that, the job is tried again: individually if the batch
failed, later if the store is not available, by another worker if this one dies. Applying a job twice is safe, so these
cases need no distinction.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, Final

import orjson
from celery import signals
from celery.concurrency.solo import TaskPool as SoloPool
from celery.worker import state
from celery.worker.request import create_request_cls
from celery.worker.strategy import default
from pydantic_core import from_json

from rollbook_worker.celery_ext.batching.batch import TraceContext
from rollbook_worker.celery_ext.batching.request import BatchedRequest
from rollbook_worker.celery_ext.batching.runner import BatchRunner
from rollbook_worker.celery_ext.batching.scheduler import PendingJob
from rollbook_worker.celery_ext.transport.plain_message import DeliveredMessage

STRATEGY: Final = f"{__name__}:batching_strategy"
BATCH_TASK: Final = "rollbook.batch"

# The solo pool works in the loop's own thread, which reads nothing meanwhile: without a wait each job would be alone.
_SOLO_LINGER_SECONDS: Final = 0.002

_NO_LIMITS: Final = (None, [None, None])

_runners: weakref.WeakKeyDictionary[Any, BatchRunner] = weakref.WeakKeyDictionary()


def batching_strategy(task: Any, app: Any, consumer: Any) -> Callable[..., Any]:
    """Return a handler of `task`'s messages that batches them, with those of the other tasks of this strategy."""
    max_jobs = app.conf.rollbook_batch
    if consumer.hub is None or max_jobs <= 1:
        handler: Callable[..., Any] = default(task, app, consumer)
        return handler
    return BatchingStrategy(task, app, consumer, max_jobs)


class BatchingStrategy:
    """Handles the messages of one task by batching them."""

    def __init__(self, task: Any, app: Any, consumer: Any, max_jobs: int) -> None:
        self._task = task
        self._consumer = consumer
        self._run_individually: Callable[..., Any] = default(task, app, consumer)
        self._runner = _runner_for(consumer, max_jobs)
        self._request_class = create_request_cls(
            BatchedRequest, task, consumer.pool, consumer.hostname, consumer.event_dispatcher, app=app
        )
        self._options = {
            "app": app,
            "hostname": consumer.hostname,
            "connection_errors": consumer.connection_errors,
        }

    def __call__(self, message: Any, body: Any, ack: Any, reject: Any, callbacks: Any) -> None:
        """Handle a message, as Celery has its strategies do it."""
        payload = None if body is not None else _payload(message)
        headers = message.headers
        if payload is None or self._is_rate_limited or _is_special(headers, payload):
            self._run_individually(message, body, ack, reject, callbacks)
            self._show_retry(headers)
            return
        request = self._request_class(
            headers,
            payload,
            message=message,
            on_ack=ack,
            on_reject=reject,
            task=self._task,
            eventer=self._consumer.event_dispatcher,
            options=self._options,
        )
        if request.is_revoked():
            return
        signals.task_received.send(sender=self._consumer, request=request)
        for callback in callbacks:
            callback(request)
        self._batch(_pending(request, message, payload), headers)

    def take(self, delivered: DeliveredMessage, job: str) -> bool:
        """Batch a usual message with this job, unless something wants to know of it; return whether it was batched."""
        consumer = self._consumer
        if (
            state.revoked
            or state.revoked_stamps
            or consumer.on_task_message
            or signals.task_received.receivers
            or self._is_rate_limited
        ):
            return False
        headers = delivered.envelope["headers"]
        request = self._request_class(
            headers,
            [[job], {}, {}],
            delivered=delivered,
            call_soon=consumer.call_soon_ack,
            task=self._task,
            eventer=consumer.event_dispatcher,
            options=self._options,
        )
        self._batch(PendingJob(request, job, delivered.size, TraceContext.of(headers)), headers)
        return True

    @property
    def _is_rate_limited(self) -> bool:
        consumer = self._consumer
        return bool(not consumer.disable_rate_limits and consumer.task_buckets[self._task.name])

    def _batch(self, job: PendingJob, headers: Any) -> None:
        request, eventer = job.request, self._consumer.event_dispatcher
        if eventer and not eventer.skips_tasks:
            received = {
                "uuid": request.id,
                "name": request.name,
                "args": request.argsrepr,
                "kwargs": headers.get("kwargsrepr", ""),
                "root_id": headers.get("root_id"),
                "parent_id": headers.get("parent_id"),
                "retries": 0,
                "eta": None,
                "expires": headers.get("expires") and request.expires.isoformat(),
            }
            eventer.send_all("task-received", (received,))
        self._runner.add(job)

    def _show_retry(self, headers: Any) -> None:
        """Until its ETA the job waits for its next try: show that, and not that it was received."""
        eventer = self._consumer.event_dispatcher
        revoked = self._consumer.controller.state.revoked
        if headers.get("retries") and headers.get("eta") and headers["id"] not in revoked and eventer:
            eventer.send("task-retried", uuid=headers["id"], retries=headers["retries"])


def only_argument(args: Any, kwargs: Any) -> object:
    """The job in a message: its one argument, or all arguments if there is not exactly one."""
    return args[0] if len(args) == 1 and not kwargs else (args, kwargs)


def _runner_for(consumer: Any, max_jobs: int) -> BatchRunner:
    """One runner for all tasks of a consumer, for the time of one connection."""
    runner = _runners.get(consumer)
    if runner is None or runner.generation != consumer.restart_count:
        linger = _SOLO_LINGER_SECONDS if isinstance(consumer.pool, SoloPool) else 0.0
        runner = BatchRunner(consumer, BATCH_TASK, max_jobs=max_jobs, linger=linger)
        _runners[consumer] = runner
    return runner


def _payload(message: Any) -> Any:
    """Arguments, keyword arguments and options; None if Celery must decode the message."""
    if message.content_type != "application/json":
        return None
    try:
        # a seventh of the time that kombu's own decoder takes; but an integer of more than 64 bits becomes a float
        payload = orjson.loads(message.body)
    except ValueError:
        payload = None
    match payload:
        case [[str()], dict() as named, dict() | None as options] if not (named or any((options or {}).values())):
            return payload
    try:
        payload = from_json(message.body)
    except ValueError:
        return None
    match payload:
        case [list(), dict(), dict() | None]:
            return payload
        case {"args": _}:
            return None  # a message of before Celery 4
        case _:
            # Celery's strategy would stop the worker; so it counts as a job, and the store says what is wrong with it
            return [[payload], {}, {}]


def _is_special(headers: Any, payload: Any) -> bool:
    """Whether the job needs what a batch cannot honour, or was tried before."""
    if headers.get("eta") or headers.get("retries") or headers.get("timelimit") not in _NO_LIMITS:
        return True
    return any((payload[2] or {}).values())


def _pending(request: Any, message: Any, payload: Any) -> PendingJob:
    return PendingJob(
        request=request,
        message=only_argument(payload[0], payload[1]),
        size=len(message.body),
        trace=TraceContext.of(message.headers),
        isolated=bool(message.headers.get("redelivered") or (message.delivery_info or {}).get("redelivered")),
    )
