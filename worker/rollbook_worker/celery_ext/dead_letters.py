"""Messages that are not jobs, or that the transport gave up: how they become dead letters, and what is in them."""

from __future__ import annotations

import json
from base64 import b64decode
from binascii import Error as NotBase64
from typing import Any, Final

from kombu.message import Message

from rollbook_shared.job_states import DeadLetterCode
from rollbook_shared.jobs.celery_task import TASK_PREFIX
from rollbook_shared.jobs.codec import KEPT_TEXT, text_digest, unidentified_id

DEAD_LETTER_TASK: Final = f"{TASK_PREFIX}dead_letter"
HIDDEN: Final = "(not shown)"

_JSON: Final = "application/json"


class DeadLetterMessage(Message):
    """A message as an argument of the task `rollbook.dead_letter`. Acknowledging it acknowledges the original."""


def dead_letter_message(message: Any, reason: str) -> DeadLetterMessage:
    """Wrap a message that is not a job. Of a large one only the start is kept, and only that is encoded: in JSON a byte
    may be six.
    """
    text, is_whole = _start_of(message.body, message.content_encoding)
    if not is_whole:
        reason = f"{reason}; only its first {KEPT_TEXT} characters are kept"
    arguments = [[text, reason], {}, {}]
    return DeadLetterMessage(  # type: ignore[no-untyped-call]
        body=json.dumps(arguments),
        delivery_tag=message.delivery_tag,
        content_type=_JSON,
        content_encoding="utf-8",
        delivery_info=message.delivery_info,
        headers={"task": DEAD_LETTER_TASK, "id": _id_of_no_job(text), "argsrepr": HIDDEN, "kwargsrepr": "{}"},
        channel=message.channel,
        accept={_JSON},
    )


def shown_headers(body: object) -> dict[str, Any]:
    """Headers for a message of the task `rollbook.dead_letter`, by which monitoring shows it as what failed: a job that
    the transport gave up under its id, kind and summary, a message that is not a job under the id of the dead letter.
    """
    try:
        ((text, _, *code), _, _) = json.loads(body)  # type: ignore[arg-type]
        if not code or code == [DeadLetterCode.MALFORMED]:
            return {"id": _id_of_no_job(text)}
        headers = json.loads(text)["headers"]
        shadow = headers["task"] if headers["task"].startswith(TASK_PREFIX) else DEAD_LETTER_TASK
        return {"id": headers["id"], "shadow": shadow, "argsrepr": headers.get("argsrepr")}
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return {}


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


def _id_of_no_job(text: str) -> str:
    return unidentified_id(text_digest(text))


def _start_of(body: object, encoding: object) -> tuple[str, bool]:
    """The text of a body, at most `KEPT_TEXT` characters of it, and whether that is all."""
    start = _text(body[:KEPT_TEXT], encoding) if isinstance(body, bytes) else str(body)
    is_whole = len(start) <= KEPT_TEXT and not (isinstance(body, bytes) and len(body) > KEPT_TEXT)
    return start[:KEPT_TEXT], is_whole


def _text(body: bytes, encoding: object) -> str:
    """The body as text: by the encoding that its message says, or as UTF-8; or, if that makes JSON of it, by how it
    begins.
    """
    for name in (encoding, json.detect_encoding(body)):
        try:
            text = body.decode(str(name))
        except (LookupError, ValueError):
            continue
        if text.lstrip().startswith(("{", "[", '"')):
            return text
    return body.decode(errors="backslashreplace")
