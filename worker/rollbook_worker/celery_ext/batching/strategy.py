"""Celery's seam: what a worker does with a message of ours. `app.task(..., Strategy=STRATEGY)` names it.

Celery's own strategy makes a `Request` of each message and hands it to the pool. This one makes the same request and
lets it wait for others; it keeps its own events, state and acknowledgement, so that Flower, `celery inspect` and
`celery control revoke` see jobs and not batches. What a batch cannot honour (a time of its own, an own time limit,
callbacks, a rate limit) and what was tried before goes the ordinary way, as does everything where there is no event
loop or `batch` is 1.

The acknowledgement follows the commit. If anything goes wrong before that, the job is tried again: by itself if the
batch failed, later if the store is not available, by another worker if this one dies. Applying twice is safe, so no
case needs to be told from another.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, Final

from celery import signals
from celery.concurrency.solo import TaskPool as SoloPool
from celery.utils.imports import symbol_by_name
from celery.worker import state
from celery.worker.request import create_request_cls
from celery.worker.strategy import default
from pydantic_core import from_json

from rollbook_worker.celery_ext.batching.batches import Batches
from rollbook_worker.celery_ext.batching.scheduler import Waiting
from rollbook_worker.celery_ext.batching.trace_context import Sent

STRATEGY: Final = f"{__name__}:gathering"
BATCH_TASK: Final = "rollbook.batch"

# A pool that works in the loop's own thread stops it from reading: without a moment's wait each job would be alone.
_SOLO_LINGER_SECONDS: Final = 0.002

_NO_LIMITS: Final = (None, [None, None])

_current: weakref.WeakKeyDictionary[Any, Batches] = weakref.WeakKeyDictionary()


def gathering(task: Any, app: Any, consumer: Any) -> Callable[..., Any]:
    """A handler of `task`'s messages that gathers them, with those of the other tasks of this strategy."""
    ordinary: Callable[..., Any] = default(task, app, consumer)
    most_jobs = app.conf.rollbook_batch
    if consumer.hub is None or most_jobs <= 1:
        return ordinary
    batches = _batches(consumer, most_jobs)
    request_class = create_request_cls(
        symbol_by_name(task.Request), task, consumer.pool, consumer.hostname, consumer.event_dispatcher, app=app
    )
    bucket_of = consumer.task_buckets.__getitem__
    rates_limited = not consumer.disable_rate_limits
    revoked = consumer.controller.state.revoked

    def handle(message: Any, body: Any, ack: Any, reject: Any, callbacks: Any) -> Any:
        payload = None if body is not None else _payload(message)
        if payload is None or (rates_limited and bucket_of(task.name)) or _is_special(message.headers, payload):
            return ordinary(message, body, ack, reject, callbacks)
        request = request_class(
            message,
            on_ack=ack,
            on_reject=reject,
            app=app,
            hostname=consumer.hostname,
            eventer=consumer.event_dispatcher,
            task=task,
            connection_errors=consumer.connection_errors,
            body=payload,
            headers=message.headers,
            decoded=True,
            utc=True,
        )
        if (request.expires or request.id in revoked) and request.revoked():
            return None
        signals.task_received.send(sender=consumer, request=request)
        request.send_event(
            "task-received",
            name=request.name,
            args=request.argsrepr,
            kwargs=request.kwargsrepr,
            root_id=request.root_id,
            parent_id=request.parent_id,
            retries=0,
            eta=None,
            expires=request.expires and request.expires.isoformat(),
        )
        state.task_reserved(request)
        for callback in callbacks:
            callback(request)
        batches.add(_waiting(request, message))
        return None

    return handle


def only_argument(args: Any, kwargs: Any) -> object:
    """What stands for the job in a message: its one argument, or all of them if there is not just one."""
    return args[0] if len(args) == 1 and not kwargs else (args, kwargs)


def _batches(consumer: Any, most_jobs: int) -> Batches:
    """One line for all tasks of a consumer, for the time of one connection."""
    batches = _current.get(consumer)
    if batches is None or batches.generation != consumer.restart_count:
        linger = _SOLO_LINGER_SECONDS if isinstance(consumer.pool, SoloPool) else 0.0
        batches = Batches(consumer, BATCH_TASK, most_jobs=most_jobs, linger=linger)
        _current[consumer] = batches
    return batches


def _payload(message: Any) -> Any:
    """Arguments, keyword arguments and options; None if that is for Celery to find out."""
    if message.content_type != "application/json":
        return None
    try:
        # a third of the time that kombu's own decoder takes
        payload = from_json(message.body)
    except ValueError:
        return None
    match payload:
        case [list(), dict(), dict() | None]:
            return payload
        case {"args": _}:
            return None  # a message of before Celery 4
        case _:
            # it would end the worker; so it is a job, of which the store says what is wrong
            return [[payload], {}, {}]


def _is_special(headers: Any, payload: Any) -> bool:
    """Whether it asks for what a batch cannot do, or was tried before."""
    if headers.get("eta") or headers.get("retries") or headers.get("timelimit") not in _NO_LIMITS:
        return True
    return any((payload[2] or {}).values())


def _waiting(request: Any, message: Any) -> Waiting:
    return Waiting(
        request=request,
        message=only_argument(request.args, request.kwargs),
        size=len(message.body),
        sent=Sent.of(message.headers),
        alone=bool(message.headers.get("redelivered") or request.delivery_info["redelivered"]),
    )
