"""Messages as a worker takes them: nothing is unpacked that no publisher of ours packs."""

from __future__ import annotations

import math
from binascii import a2b_base64
from typing import Any, Final, NamedTuple

from rollbook_shared.json_values import printable
from rollbook_worker.celery_ext import privates

JSON: Final = "application/json"
BASE64: Final = "base64"
"""As Celery's publishers write a body. Ours write it as it is: as Base64 it took a worker longer than all its JSON."""
_RECEIVED: Final = "RECEIVED"
_ACKNOWLEDGED: Final = "ACK"
_MAX_NAME: Final = 100
"""Characters of an unknown content type that are quoted."""


class PackedMessage(ValueError):
    """The message would have to be unpacked. The text says how it is packed."""


class PlainMessage(privates.VirtualMessage):  # type: ignore[misc]  # kombu ships no types
    """kombu's message, without what could make gigabytes of a few kilobytes.

    kombu decompresses what the header `compression` names, and decodes text of some content types with any codec of
    Python's, of which some decompress too. Both are done without a bound, and for broadcasts as well. Such a message
    stays packed, and has the error `PackedMessage`.

    What our publishers and Celery's send is made here, in a third of kombu's time; all else is left to kombu.
    """

    size: float = math.inf
    """Bytes of the message as it was sent; infinite where that is not known."""

    def __init__(self, payload: Any, channel: Any = None, **kwargs: Any) -> None:
        if problem := _problem_of(payload):
            error = PackedMessage(problem)
            self.errors = [(PackedMessage, error, None)]  # as kombu keeps the errors of a message
        elif _is_usual(payload):
            self._take(payload, channel)
            return
        super().__init__(payload, channel, **kwargs)

    def _take(self, payload: Any, channel: Any) -> None:
        properties = payload["properties"]
        body: str = payload["body"]
        self.body = a2b_base64(body) if "body_encoding" in properties else body.encode()
        self.channel = channel
        self.content_encoding = payload["content-encoding"]
        self.content_type = JSON
        self.delivery_info = properties["delivery_info"]
        self.delivery_tag = properties["delivery_tag"]
        self.errors = []
        self.headers = payload["headers"]
        self.properties = properties
        self.accept = self._decoded_cache = None
        self._raw = payload
        self._state = _RECEIVED

    def ack(self, multiple: bool = False) -> None:
        """See kombu."""
        if self._state == _RECEIVED and self.channel is not None and "consumer_tag" not in self.delivery_info:
            self.channel.basic_ack(self.delivery_tag)
            self._state = _ACKNOWLEDGED
        else:
            super().ack(multiple)


class DeliveredMessage(NamedTuple):
    """A claimed message, of which kombu's is made when something asks for it.

    `size` is in bytes, as it was sent.
    """

    envelope: Any
    tag: str
    size: int
    channel: Any

    def message(self) -> PlainMessage:
        """Make kombu's message.

        Raises:
            KeyError, TypeError: it has no properties.
        """
        self.envelope["properties"]["delivery_tag"] = self.tag
        message: PlainMessage = self.channel.Message(self.envelope, channel=self.channel)
        message.size = self.size
        return message


def _is_usual(payload: Any) -> bool:
    properties = payload["properties"]
    return (
        properties.get("body_encoding", BASE64) == BASE64
        and type(payload.get("headers")) is dict
        and type(payload.get("body")) is str
        and type(properties.get("delivery_info")) is dict
        and "content-encoding" in payload
    )


def _problem_of(payload: Any) -> str | None:
    headers = payload.get("headers")
    if isinstance(headers, dict) and headers.get("compression"):
        return "it is compressed, which is not accepted"
    if (kind := payload.get("content-type")) != JSON:
        return f"its content type is {printable(str(kind)[:_MAX_NAME])}, which is not accepted"
    return None
