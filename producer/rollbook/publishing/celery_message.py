"""A job as the message that every Celery worker takes: version 2 of Celery's protocol, in kombu's envelope for Redis.

Celery makes none of it: the client needs neither Celery nor kombu, so that it lives beside any version of the
application's own Celery. `Celery.send_task` would also cost more than the rest of a write: it looks up the route,
copies queues, retry policies and options, and kombu builds a new Redis client for each message. A test holds this
message equal to Celery's, and in another a stock Celery worker takes it.

Celery's signals `before_task_publish` and `after_task_publish` are sent where the application has imported Celery, as
for its own tasks: tracers and error trackers listen to them.
"""

from __future__ import annotations

import os
import socket
import sys
import time
import uuid
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rollbook.publishing.spans import attach_trace, start_send_span
from rollbook_shared.jobs.celery_task import TASK_PREFIX, EncodedJob, queue_of
from rollbook_shared.json_values import encode_json
from rollbook_shared.observability import tracing

if TYPE_CHECKING:
    from opentelemetry.trace import Span

_NO_FOLLOWING_TASKS: Final = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
_HOST: Final = socket.gethostname()


@dataclass(frozen=True, kw_only=True, slots=True)
class CeleryMessage:
    """The text to push, its queue, and what Celery's signals say of it."""

    queue: str
    text: bytes
    task: str
    headers: dict[str, Any]
    arguments: tuple[list[str], dict[str, Any], dict[str, Any]]
    span: Span | None = None
    """Of sending it; it ends when Redis has the message."""

    @classmethod
    def of(cls, job: EncodedJob) -> CeleryMessage:
        """The message of the job. Receivers of `before_task_publish` may add headers, as tracers do."""
        task, queue = TASK_PREFIX + job.kind, queue_of(job.kind)
        headers = _headers(job, task)
        properties = _properties(job, queue)
        arguments = ([job.body], dict[str, Any](), dict(_NO_FOLLOWING_TASKS))
        if (before := _signal("before_task_publish")) is not None:
            with attach_trace(job.trace):
                before.send(
                    sender=task,
                    body=arguments,
                    exchange="",
                    routing_key=queue,
                    declare=[],
                    headers=headers,
                    properties=properties,
                    retry_policy={},
                )
        span = None
        if tracing.PARENT not in headers:  # else a tracer has put its own span there
            if tracer := tracing.tracer():
                span = start_send_span(tracer, job, headers)
            elif job.trace:
                tracing.inject_trace(headers, job.trace)
        envelope = {
            "body": b64encode(encode_json(arguments)).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": headers,
            "properties": properties,
        }
        return cls(queue=queue, text=encode_json(envelope), task=task, headers=headers, arguments=arguments, span=span)

    def record_sent(self) -> None:
        """End the span, and send Celery's signal."""
        if self.span is not None:
            self.span.end()
        if (after := _signal("after_task_publish")) is not None:
            after.send(sender=self.task, body=self.arguments, headers=self.headers, exchange="", routing_key=self.queue)

    def record_failure(self, error: BaseException, reason: str) -> None:
        """End the span as failed."""
        if self.span is not None:
            tracing.mark_failed(self.span, error, reason)
            self.span.end()


def _signal(name: str) -> Any:
    """Celery's signal, where it has receivers. To connect one, something must have imported Celery."""
    signal = getattr(sys.modules.get("celery.signals"), name, None)
    return signal if signal is not None and signal.receivers else None


def _headers(job: EncodedJob, task: str) -> dict[str, Any]:
    return {
        "lang": "py",
        "task": task,
        "id": job.id,
        "shadow": None,
        "eta": None,
        "expires": None,
        "group": None,
        "group_index": None,
        "retries": 0,
        "timelimit": [None, None],
        "root_id": job.id,
        "parent_id": None,
        "argsrepr": job.summary,
        "kwargsrepr": "",
        "origin": f"gen{os.getpid()}@{_HOST}",
        "ignore_result": True,
        "replaced_task_nesting": 0,
        "stamped_headers": None,
        "stamps": {},
    }


def _properties(job: EncodedJob, queue: str) -> dict[str, Any]:
    return {
        "correlation_id": job.id,
        "reply_to": "",  # where a worker would send a result; jobs have none
        "delivery_mode": 2,
        "delivery_info": {"exchange": "", "routing_key": queue},
        "priority": 0,
        # AMQP's own property, in seconds. Celery leaves it out; without it the time that a job has waited is unknown.
        "timestamp": int(time.time()),
        "body_encoding": "base64",
        # Of the message and not of the job: a job sent twice is two messages, each to be acknowledged by itself.
        "delivery_tag": str(uuid.uuid4()),
    }
