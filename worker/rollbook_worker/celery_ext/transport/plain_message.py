"""Messages as a worker takes them: nothing is unpacked that no publisher of ours packs."""

from __future__ import annotations

from typing import Any, Final

from rollbook_shared.json_values import printable
from rollbook_worker.celery_ext import privates

JSON: Final = "application/json"
_MAX_NAME: Final = 100
"""Characters of an unknown content type that are quoted."""


class PackedMessage(ValueError):
    """The message would have to be unpacked. The text says how it is packed."""


class PlainMessage(privates.VirtualMessage):  # type: ignore[misc]  # kombu ships no types
    """kombu's message, without what could make gigabytes of a few kilobytes.

    kombu decompresses what the header `compression` names, and decodes text of some content types with any codec of
    Python's, of which some decompress too. Both are done without a bound, and for broadcasts as well. Such a message
    stays packed, and has the error `PackedMessage`.
    """

    def __init__(self, payload: Any, channel: Any = None, **kwargs: Any) -> None:
        if problem := _problem_of(payload):
            error = PackedMessage(problem)
            self.errors = [(PackedMessage, error, None)]  # as kombu keeps the errors of a message
        super().__init__(payload, channel, **kwargs)


def _problem_of(payload: Any) -> str | None:
    headers = payload.get("headers")
    if isinstance(headers, dict) and headers.get("compression"):
        return "it is compressed, which is not accepted"
    if (kind := payload.get("content-type")) != JSON:
        return f"its content type is {printable(str(kind)[:_MAX_NAME])}, which is not accepted"
    return None
