"""The frames of the feed socket: Phoenix channels, version 2 of their JSON serializer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from rollbook.models import Feed
from rollbook_server.api.message_shapes import counts_as_json
from rollbook_shared.json_values import encode_json

PHOENIX: Final = "phoenix"
"""The topic of heartbeats."""
NEW_MESSAGE: Final = "new-message"
_FEEDS: Final = "feeds"


class BadFrame(Exception):
    """The text is no frame."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """One message of either side: `[join_ref, ref, topic, event, payload]`."""

    join_ref: str | None
    ref: str | None
    topic: str
    event: str
    payload: Mapping[str, Any]

    @classmethod
    def parse(cls, text: str) -> Frame:
        """The frame in the text.

        Raises:
            BadFrame: it holds none.
        """
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError:
            raise BadFrame from None
        match value:
            case [None | str() as join_ref, None | str() as ref, str(topic), str(event), dict(payload)]:
                return cls(join_ref=join_ref, ref=ref, topic=topic, event=event, payload=payload)
        raise BadFrame

    def text(self) -> str:
        """The frame as it is sent."""
        return encode_json([self.join_ref, self.ref, self.topic, self.event, self.payload]).decode()

    def reply(self, status: str, response: Mapping[str, Any]) -> Frame:
        """The answer to this frame: `ok` or `error`."""
        payload = {"status": status, "response": response}
        return Frame(join_ref=self.join_ref, ref=self.ref, topic=self.topic, event="phx_reply", payload=payload)


@dataclass(frozen=True, slots=True)
class FeedTopic:
    """What the topic of a feed names."""

    channel_id: str
    user_id: str

    @classmethod
    def parse(cls, topic: str) -> FeedTopic | None:
        """`feeds:CHANNEL:USER`, where the user's id may hold colons; None: another topic."""
        match topic.split(":", 2):
            case [str(kind), str(channel_id), str(user_id)] if kind == _FEEDS:
                return cls(channel_id, user_id)
        return None


def new_message(join_ref: str | None, topic: str, feed: Feed, references: Sequence[str]) -> Frame:
    """Notifies these references of the client that the feed has changed; each reads it again."""
    counts = counts_as_json(feed)
    payload = {
        "event": NEW_MESSAGE,
        "metadata": counts,
        "data": {reference: {"metadata": counts} for reference in references},
        "attn": list(references),
    }
    return Frame(join_ref=join_ref, ref=None, topic=topic, event=NEW_MESSAGE, payload=payload)
