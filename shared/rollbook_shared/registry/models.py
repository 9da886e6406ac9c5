"""Channels and workflows, as the registry has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

IN_APP: Final = "in_app"
"""The type of feeds' channels."""
CHANNEL_DATA: Final = "channel_data"
"""What a channel needs whose recipients are reached by their channel data. No property has this name."""
NEEDS: Final[Mapping[str, str]] = {
    "email": "email",
    "sms": "phone_number",
    "push": CHANNEL_DATA,
    "chat": CHANNEL_DATA,
}
"""What a channel needs to reach a recipient, by its type; other types need nothing."""


class DeliveryMethod(StrEnum):
    """How the messages of a channel leave."""

    CLAIM = "claim"
    """The application's own senders claim them."""
    CELERY = "celery"
    WEBHOOK = "webhook"
    SMTP = "smtp"
    APPRISE = "apprise"


class Priority(StrEnum):
    """Which deliveries of a channel are claimed first: those of a workflow with a higher priority."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


@dataclass(frozen=True, kw_only=True, slots=True)
class Channel:
    """One way to reach users."""

    key: str
    """Users' channel data is kept under it. Any text; Knock's are UUIDs."""
    type: str
    """`in_app`, `push`, `email`, `sms`, `chat` or another; preferences and messages name it."""
    provider: str | None = None
    """Who delivers it, such as `fcm`."""
    delivery: DeliveryMethod | None = None
    """How its messages leave; None: they do not, and are only read. What follows is of no effect then."""
    needs: str | None = None
    """What reaches a recipient: an attribute or a property, or `CHANNEL_DATA`; None: nothing is needed."""
    max_age: timedelta = timedelta(hours=1)
    """How long after its trigger a message may be handed over."""
    attempts: int = 8
    """How often it may be handed over until it is given up."""
    delay: timedelta = timedelta(0)
    """How long a message waits before it may be handed over."""
    skip_seen: bool = False
    """Whether a message stays here if its recipient has seen or read it meanwhile, on any channel."""
    per_second: float | None = None
    """How many are handed over in a second, over all senders; None: any number."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Those of its sender, as they stand in the file."""

    @property
    def is_read(self) -> bool:
        """Whether users read its messages in a feed: all do of the type `in_app`, and others that do not leave."""
        return self.type == IN_APP or self.delivery is None


@dataclass(frozen=True, kw_only=True, slots=True)
class Workflow:
    """What a trigger of it means."""

    key: str
    channels: tuple[str, ...]
    """Keys of channels."""
    categories: tuple[str, ...] = ()
    active: bool = True
    """Whether it may be triggered."""
    priority: Priority = Priority.NORMAL
    """Of its deliveries."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Registry:
    """All channels and workflows, by their keys."""

    channels: Mapping[str, Channel] = field(default_factory=lambda: {IN_APP: Channel(key=IN_APP, type=IN_APP)})
    workflows: Mapping[str, Workflow] | None = None
    """None: nothing is registered, so every workflow exists and uses `in_app`."""
    events: Mapping[str, str] = field(default_factory=dict)
    """The workflow that an event of Segment's `track` triggers, by the event's name."""

    def workflow(self, key: str) -> Workflow | None:
        """The workflow; None if there is none of this key."""
        if self.workflows is None:
            return Workflow(key=key, channels=(IN_APP,))
        return self.workflows.get(key)

    def channel_type(self, key: str) -> str:
        """The type of a channel; a key that is not registered is taken for a type."""
        channel = self.channels.get(key)
        return key if channel is None else channel.type

    def channel_types(self, workflow: Workflow) -> tuple[str, ...]:
        """The types of a workflow's channels, each once."""
        return tuple(dict.fromkeys(map(self.channel_type, workflow.channels)))

    @property
    def delivers(self) -> bool:
        """Whether the messages of some channel leave."""
        return any(channel.delivery is not None for channel in self.channels.values())

    def delivered_channel(self, workflow_key: str, name: str) -> Channel | None:
        """The channel by which a message leaves that a workflow made on the channel, or type, `name`; None: it stays.

        Of several channels it is that of `message_channel`.
        """
        channel = self.message_channel(workflow_key, name)
        return None if channel.delivery is None else channel

    def message_channel(self, workflow_key: str, name: str) -> Channel:
        """The channel of a message that a workflow made on the channel, or type, `name`; one of this type if none is
        registered.

        The workflow's own channels come first: they say which of several channels of one type is meant.
        """
        workflow = self.workflow(workflow_key)
        own = [channel for key in workflow.channels if (channel := self.channels.get(key))] if workflow else []
        named = self.channels.get(name)
        candidates = [*own, *((named,) if named else ()), *self.channels.values()]
        found = (channel for channel in candidates if name in (channel.key, channel.type))
        return next(found, Channel(key=name, type=name))

    def priority(self, workflow_key: str) -> Priority:
        """The priority of a workflow's deliveries."""
        workflow = self.workflow(workflow_key)
        return Priority.NORMAL if workflow is None else workflow.priority

    def channel_of_type(self, type: str) -> Channel:
        """The first channel of this type; one named for the type if none is registered."""
        for channel in self.channels.values():
            if channel.type == type:
                return channel
        return Channel(key=type, type=type)
