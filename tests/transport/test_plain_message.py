"""Messages are decoded as kombu decodes them, in less time."""

from __future__ import annotations

import base64
import json
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kombu.exceptions import MessageStateError
from kombu.transport.virtual import Base64

from rollbook_worker.celery_ext import privates
from rollbook_worker.celery_ext.transport.claimed_messages import ClaimedMessage
from rollbook_worker.celery_ext.transport.plain_message import PlainMessage

SHOWN = (
    *("body", "channel", "content_encoding", "content_type", "delivery_info", "delivery_tag", "errors", "headers"),
    *("properties", "accept", "acknowledged"),
)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.text(), json_values, max_size=4)


@st.composite
def payloads(draw: st.DrawFn) -> dict[str, Any]:
    """Messages as Celery's publishers write them, and with parts that are missing or of another kind."""
    body = draw(st.binary())
    encoding = draw(st.sampled_from(["base64", "base64", "utf-8", None]))
    payload: dict[str, Any] = {
        "body": base64.b64encode(body).decode() if encoding == "base64" else draw(st.text()),
        "content-encoding": draw(st.sampled_from(["utf-8", None])),
        "content-type": "application/json",
        "headers": draw(objects.map(lambda headers: headers | {"task": "rollbook.identify"})),
        "properties": {"body_encoding": encoding, "delivery_tag": "tag", "delivery_info": draw(objects)},
    }
    for part in draw(st.sets(st.sampled_from(["body", "content-encoding", "headers"]))):
        del payload[part]
    for part in draw(st.sets(st.sampled_from(["body_encoding", "delivery_info"]))):
        del payload["properties"][part]
    return payload


def channel() -> Any:
    """What a message needs of its channel."""
    made = Mock(no_ack_consumers=set(), codecs={"base64": Base64()})
    made.decode_body = lambda body, encoding=None: privates.Channel.decode_body(made, body, encoding)
    return made


@given(payload=payloads())
def test_a_message_is_that_of_kombu(payload: dict[str, Any]) -> None:
    its_channel = channel()

    ours, theirs = PlainMessage(payload, its_channel), privates.VirtualMessage(payload, its_channel)

    assert [getattr(ours, name) for name in SHOWN] == [getattr(theirs, name) for name in SHOWN]


@given(value=objects.filter(lambda value: "__type__" not in json.dumps(value)))
def test_an_envelope_is_decoded_as_kombu_decodes_it(value: dict[str, Any]) -> None:
    text = json.dumps(value)

    assert ClaimedMessage("queue", "tag", text.encode()).envelope() == privates.loads(text)


@pytest.fixture(params=["usual", "without delivery info"])
def message(request: pytest.FixtureRequest) -> PlainMessage:
    """A message that is made in our way, and one that is made in kombu's."""
    info: dict[str, Any] = {"delivery_info": {}} if request.param == "usual" else {}
    return PlainMessage(
        {
            "body": "W10=",
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {},
            "properties": {"body_encoding": "base64", "delivery_tag": "tag", **info},
        },
        channel(),
    )


def test_a_message_is_acknowledged_once(message: PlainMessage) -> None:
    message.ack()

    with pytest.raises(MessageStateError):
        message.ack()
    assert [call.args for call in message.channel.basic_ack.call_args_list] == [("tag",)]


def test_a_rejected_message_cannot_be_acknowledged(message: PlainMessage) -> None:
    message.reject()

    with pytest.raises(MessageStateError):
        message.ack()
    message.channel.basic_ack.assert_not_called()


def test_a_message_of_a_consumer_without_acknowledgements_is_not_acknowledged(message: PlainMessage) -> None:
    message.delivery_info["consumer_tag"] = "of no acknowledgements"
    message.channel.no_ack_consumers.add("of no acknowledgements")

    message.ack()

    message.channel.basic_ack.assert_not_called()
