"""The messages of tasks, as all Celery workers take them: version 2 of its protocol, in kombu's envelope for Redis.

Celery makes none of it: the client needs neither Celery nor kombu, so that it lives beside any version of the
application's own Celery. `Celery.send_task` would also cost more than the rest of a write: it looks up the route,
copies queues, retry policies and options, and kombu builds a new Redis client for each message. A test holds this
message equal to Celery's, and in another a stock Celery worker takes it.

Of jobs, Celery's signals `before_task_publish` and `after_task_publish` are sent where the application has imported
Celery, as for its own tasks: tracers and error trackers listen to them.
"""

from __future__ import annotations

import os
import socket
import sys
import time
import uuid
from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from rollbook.publishing.spans import attach_trace, start_send_span
from rollbook_shared.jobs.celery_task import TASK_PREFIX, EncodedJob, queue_of
from rollbook_shared.json_values import encode_json
from rollbook_shared.observability import tracing

if TYPE_CHECKING:
    from opentelemetry.trace import Span

TaskArguments = tuple[list[Any], dict[str, Any], dict[str, Any]]
"""The positional ones, those with names, and the tasks that follow."""
_NO_FOLLOWING_TASKS: Final = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
_HOST: Final = socket.gethostname()


@dataclass(frozen=True, kw_only=True, slots=True)
class CeleryMessage:
    """A job's message: the text to push, its queue, and what Celery's signals say of it."""

    queue: str
    text: bytes
    task: str
    headers: dict[str, Any]
    arguments: TaskArguments
    span: Span | None = None
    """Of sending it; it ends when Redis has the message."""

    @classmethod
    def of(cls, job: EncodedJob) -> CeleryMessage:
        """The message of the job. Receivers of `before_task_publish` may add headers, as tracers do."""
        task, queue = TASK_PREFIX + job.kind, queue_of(job.kind)
        headers = task_headers(id=job.id, task=task, summary=job.summary)
        properties = task_properties(id=job.id, queue=queue)
        arguments = task_arguments(job.body)
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
        return cls(
            queue=queue,
            text=encode_task(headers, properties, arguments),
            task=task,
            headers=headers,
            arguments=arguments,
            span=span,
        )

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


def task_arguments(argument: Any) -> TaskArguments:
    """The arguments of a task that gets one."""
    return [argument], {}, dict(_NO_FOLLOWING_TASKS)


def task_headers(*, id: str, task: str, summary: str, expires: datetime | None = None) -> dict[str, Any]:
    """The headers of a task.

    summary: what monitors such as Flower show for the arguments.
    expires: after this time workers discard the task.
    """
    return {
        "lang": "py",
        "task": task,
        "id": id,
        "shadow": None,
        "eta": None,
        "expires": None if expires is None else expires.isoformat(),
        "group": None,
        "group_index": None,
        "retries": 0,
        "timelimit": [None, None],
        "root_id": id,
        "parent_id": None,
        "argsrepr": summary,
        "kwargsrepr": "",
        "origin": f"gen{os.getpid()}@{_HOST}",
        "ignore_result": True,
        "replaced_task_nesting": 0,
        "stamped_headers": None,
        "stamps": {},
    }


def task_properties(*, id: str, queue: str) -> dict[str, Any]:
    """The properties of a task's message."""
    return {
        "correlation_id": id,
        "reply_to": "",  # where a worker would send a result; these tasks have none
        "delivery_mode": 2,
        "delivery_info": {"exchange": "", "routing_key": queue},
        "priority": 0,
        # AMQP's own property, in seconds. Celery leaves it out; without it the time that a job has waited is unknown.
        "timestamp": int(time.time()),
        # Of the message and not of the job: a job sent twice is two messages, each to be acknowledged by itself.
        "delivery_tag": str(uuid.uuid4()),
    }


def encode_task(
    headers: dict[str, Any], properties: dict[str, Any], arguments: TaskArguments, *, base64: bool = False
) -> bytes:
    """The text to push onto the list that is the queue.

    base64: encode the body as Celery does. Celery reads it either way, and ours faster without; workers in other
    languages may read this way only.
    """
    if base64:
        body, properties = b64encode(encode_json(arguments)).decode(), {**properties, "body_encoding": "base64"}
    else:
        body = encode_json(arguments).decode()
    envelope = {
        "body": body,
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": headers,
        "properties": properties,
    }
    return encode_json(envelope)


def _signal(name: str) -> Any:
    """Celery's signal, where it has receivers. To connect one, something must have imported Celery."""
    signal = getattr(sys.modules.get("celery.signals"), name, None)
    return signal if signal is not None and signal.receivers else None
