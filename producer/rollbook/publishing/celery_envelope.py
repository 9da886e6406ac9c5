"""The message of a task, as Celery workers take it: version 2 of Celery's protocol, in kombu's envelope for Redis.

Celery makes none of it: the client needs neither Celery nor kombu, so that it lives beside any version of the
application's own Celery. `Celery.send_task` would also cost more than the rest of a write: it looks up the route,
copies queues, retry policies and options, and kombu builds a new Redis client for each message. A test holds this
message equal to Celery's, and in another a stock Celery worker takes it.
"""

from __future__ import annotations

import os
import socket
import time
import uuid
from base64 import b64encode
from datetime import datetime
from typing import Any, Final

from rollbook_shared.json_values import encode_json

TaskArguments = tuple[list[Any], dict[str, Any], dict[str, Any]]
"""The positional ones, those with names, and the tasks that follow."""
_NO_FOLLOWING_TASKS: Final = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
_HOST: Final = socket.gethostname()


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
        "body_encoding": "base64",
        # Of the message and not of the job: a job sent twice is two messages, each to be acknowledged by itself.
        "delivery_tag": str(uuid.uuid4()),
    }


def encode_task(headers: dict[str, Any], properties: dict[str, Any], arguments: TaskArguments) -> bytes:
    """The text to push onto the list that is the queue."""
    envelope = {
        "body": b64encode(encode_json(arguments)).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": headers,
        "properties": properties,
    }
    return encode_json(envelope)
