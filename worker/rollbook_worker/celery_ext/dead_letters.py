"""Messages that are not jobs, or that the transport gave up: how they become dead letters, and what is in them."""

from __future__ import annotations

import json
from base64 import b64decode
from binascii import Error as NotBase64
from typing import Any, Final

from kombu.message import Message
from kombu.utils.uuid import uuid

from rollbook_shared.jobs.celery_task import TASK_PREFIX

DEAD_LETTER_TASK: Final = f"{TASK_PREFIX}dead_letter"
HIDDEN: Final = "(not shown)"

_JSON: Final = "application/json"


class DeadLetterMessage(Message):
    """A message as an argument of the task `rollbook.dead_letter`. Acknowledging it acknowledges the original."""


def dead_letter_message(message: Any, reason: str) -> DeadLetterMessage:
    """Wrap a message that is not a job."""
    arguments = [[_text(message.body), reason], {}, {}]
    return DeadLetterMessage(  # type: ignore[no-untyped-call]
        body=json.dumps(arguments),
        delivery_tag=message.delivery_tag,
        content_type=_JSON,
        content_encoding="utf-8",
        delivery_info=message.delivery_info,
        headers={"task": DEAD_LETTER_TASK, "id": uuid(), "argsrepr": HIDDEN, "kwargsrepr": "{}"},
        channel=message.channel,
        accept={_JSON},
    )


def job_in(envelope: str) -> str:
    """The job in a Celery message that the transport gave up, as it was published; or all of the text, if it holds no
    job.
    """
    try:
        message = json.loads(envelope)
        body = message["body"]
        if message["properties"].get("body_encoding") == "base64":
            body = b64decode(body).decode()
        arguments = json.loads(body)[0]
    except (ValueError, NotBase64, RecursionError, LookupError, TypeError, AttributeError):
        return envelope
    match arguments:
        case [str(job)]:
            return job
        case _:
            return envelope


def _text(body: object) -> str:
    return body.decode(errors="backslashreplace") if isinstance(body, bytes) else str(body)
