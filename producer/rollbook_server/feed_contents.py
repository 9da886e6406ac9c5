"""The contents of feed items: each is rendered when it is read, by the template of its workflow and channel.

Nothing of a content is stored. It shows its recipient and its actor as they are now, and no more of an actor who was
deleted; there is nothing to erase; and what is never read costs nothing. It is there as soon as its message is: the
official browser client keeps an item as it first sees it, and would never show a content that comes later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rollbook import AsyncRollbook
from rollbook.models import Content, Delivery, Message, User
from rollbook_server.observability.recorder import Recorder
from rollbook_shared.registry import Channel, RegistryFile


@dataclass(frozen=True, slots=True)
class RenderedItems:
    """What became of some items."""

    contents: Mapping[str, Content]
    """By the id of the message, of those that could be rendered."""
    failed: int = 0
    """How many could not, because a template fails or takes too long."""


class FeedTemplates(Protocol):
    """The templates of feed items. Threads share it."""

    def is_stale(self) -> bool:
        """Whether it is time to look for changes."""

    def refresh(self) -> None:
        """Look whether files have changed. It blocks."""

    def has_template(self, workflow: str, channel: Channel) -> bool:
        """Whether there is one, perhaps for some locales only."""

    def render(self, items: Sequence[Delivery]) -> RenderedItems:
        """Render the items within a bounded time. It raises nothing, and blocks."""


class FeedContents:
    """Renders the items of one server."""

    def __init__(
        self, client: AsyncRollbook, registry: RegistryFile, recorder: Recorder, templates: FeedTemplates | None
    ) -> None:
        """templates: None: no item has a content."""
        self._client = client
        self._registry = registry
        self._recorder = recorder
        self._templates = templates

    async def of(self, messages: Sequence[Message]) -> Mapping[str, Content]:
        """The contents by the ids of the messages. Users are read only if a message has a template.

        Raises:
            NotConfigured, Unavailable: users cannot be read.
        """
        templates = self._templates
        if templates is None:
            return {}
        if templates.is_stale():
            await asyncio.to_thread(templates.refresh)
        # once for each workflow: the messages of a page have few
        kinds = {(message.workflow, message.channel) for message in messages}
        channels = {kind: channel for kind in kinds if (channel := self._channel(*kind, templates)) is not None}
        found = [
            (message, channel)
            for message in messages
            if (channel := channels.get((message.workflow, message.channel))) is not None
        ]
        if not found:
            return {}
        users = await self._users([message for message, _ in found])
        items = [_item(message, channel, users) for message, channel in found if message.recipient in users]
        # in a thread: a template may take as long as its bounds permit
        rendered = await asyncio.to_thread(templates.render, items)
        self._recorder.record_unrendered(rendered.failed)
        return rendered.contents

    def _channel(self, workflow: str, name: str, templates: FeedTemplates) -> Channel | None:
        """The channel of messages that have a template and are read in a feed; None of others."""
        channel = self._registry.current.message_channel(workflow, name)
        return channel if channel.is_read and templates.has_template(workflow, channel) else None

    async def _users(self, messages: Sequence[Message]) -> dict[str, dict[str, Any]]:
        ids = {message.recipient for message in messages}
        ids |= {message.actor.id for message in messages if message.actor is not None and message.actor.id is not None}
        return {user.id: _values(user) for user in await self._client.users.get_many(ids)}


def _values(user: User) -> dict[str, Any]:
    return {name: value for name, value in user.as_dict().items() if value is not None}


def _item(message: Message, channel: Channel, users: Mapping[str, Mapping[str, Any]]) -> Delivery:
    """The message as templates see it. It is not delivered."""
    actor = None if message.actor is None or message.actor.id is None else users.get(message.actor.id)
    return Delivery(
        id=message.id,
        channel=channel.key,
        type=channel.type,
        provider=channel.provider,
        workflow=message.workflow,
        tenant=message.tenant,
        categories=message.categories,
        data=message.data,
        occurred_at=message.occurred_at,
        recipient=users[message.recipient],
        actor=actor,
        lease_ends_at=message.occurred_at,
    )
