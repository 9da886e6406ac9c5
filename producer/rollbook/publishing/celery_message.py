"""A job as the message that every Celery worker takes: version 2 of Celery's protocol, in the envelope that kombu lays
into Redis.

Made here and not by `Celery.send_task`, because that costs more than all the rest of a write: it looks the route up,
copies queues, retry policies and options, and kombu builds a new Redis client for each message. A test holds this
message equal to Celery's, and a worker of stock Celery takes it in another.
"""

from __future__ import annotations

import os
import socket
import time
import uuid
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from celery import signals

from rollbook.publishing.encoded_job import EncodedJob
from rollbook.publishing.spans import begin_sending, within
from rollbook_shared.jobs.json_text import encode_json
from rollbook_shared.jobs.routing import TASK_PREFIX, queue_of
from rollbook_shared.observability.tracing import mark_failed

if TYPE_CHECKING:
    from opentelemetry.trace import Span

_NOTHING_FOLLOWS: Final = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
_HOST: Final = socket.gethostname()


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """What is pushed, to which queue; and what those are told who watch Celery's signals."""

    queue: str
    text: bytes
    task: str
    headers: dict[str, Any]
    arguments: tuple[list[str], dict[str, Any], dict[str, Any]]
    span: Span | None = None
    """Of its way into Redis, from now until it is there."""

    @classmethod
    def of(cls, job: EncodedJob) -> Message:
        """The message of the job. Receivers of `before_task_publish` may add headers: tracers do."""
        task, queue = TASK_PREFIX + job.kind, queue_of(job.kind)
        headers = _headers(job, task)
        properties = _properties(job, queue)
        arguments = ([job.body], dict[str, Any](), dict(_NOTHING_FOLLOWS))
        if signals.before_task_publish.receivers:
            with within(job.trace):
                signals.before_task_publish.send(
                    sender=task,
                    body=arguments,
                    exchange="",
                    routing_key=queue,
                    declare=[],
                    headers=headers,
                    properties=properties,
                    retry_policy={},
                )
        span = begin_sending(job, headers)
        envelope = {
            "body": b64encode(encode_json(arguments)).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": headers,
            "properties": properties,
        }
        return cls(queue=queue, text=encode_json(envelope), task=task, headers=headers, arguments=arguments, span=span)

    def was_sent(self) -> None:
        """End the span, and tell those who watch Celery's signals."""
        if self.span is not None:
            self.span.end()
        if signals.after_task_publish.receivers:
            signals.after_task_publish.send(
                sender=self.task, body=self.arguments, headers=self.headers, exchange="", routing_key=self.queue
            )

    def was_not_sent(self, error: BaseException, reason: str) -> None:
        """End the span."""
        if self.span is not None:
            mark_failed(self.span, error, reason)
            self.span.end()


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
        "argsrepr": job.shown,
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
        "reply_to": "",  # where a worker would send the result, which nobody wants
        "delivery_mode": 2,
        "delivery_info": {"exchange": "", "routing_key": queue},
        "priority": 0,
        # AMQP's own property, in seconds. Celery leaves it out, and then nobody can tell how long a job has waited.
        "timestamp": int(time.time()),
        "body_encoding": "base64",
        # Of the message and not of the job: a job sent twice is two messages, each to be acknowledged by itself.
        "delivery_tag": str(uuid.uuid4()),
    }
