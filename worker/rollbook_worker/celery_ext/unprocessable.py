"""What a message holds that the transport has given up."""

from __future__ import annotations

import json
from base64 import b64decode
from binascii import Error as NotBase64


def job_in(envelope: str) -> str:
    """The job in a message of Celery's, as it was sent; or all of the text, where there is none to be found in it."""
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
