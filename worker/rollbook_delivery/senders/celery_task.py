"""Hands messages to the application's own Celery: a task with the delivery as its argument.

The task's id is the message's, so a message that is handed over twice is two tasks of one id. Nothing of Celery is
needed here, and the application may have any version of it; its broker must be a Redis or Valkey. A message counts as
sent once the broker has the task; the task may report what became of it with the client.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import StringConstraints

from rollbook.models import Content, Delivery
from rollbook.publishing.async_redis import AsyncBroker
from rollbook.publishing.celery_message import encode_task, task_arguments, task_headers, task_properties
from rollbook.publishing.redis import BROKER_FAILURES
from rollbook_delivery.delivery_json import delivery_json
from rollbook_delivery.results import Failed, Result, Sent
from rollbook_delivery.senders.options import Options, Variable, read_options, read_secret, table_of
from rollbook_shared.errors import NotConfigured
from rollbook_shared.observability import tracing
from rollbook_shared.reasons import safe_reason
from rollbook_shared.registry import Channel

_BROKER: Final = "ROLLBOOK_BROKER_URL"
Name = Annotated[str, StringConstraints(pattern=r"^[!-~]+$", max_length=256)]


class CeleryOptions(Options):
    """The options of a channel with `delivery = "celery"`."""

    task: Name
    """The name of the task. Its only argument is the delivery, as `Delivery.as_dict` gives it."""
    queue: Name = "celery"
    """The queue of the task."""
    broker_env: Variable = _BROKER
    """The environment variable with the URL of the application's broker."""
    key_prefix: str = ""
    """The application's `global_keyprefix`, if it has one."""
    expires: bool = True
    """Whether Celery discards the task when the message is older than the channel's `max_age`."""


class CelerySender:
    """Publishes tasks."""

    def __init__(self, channel: Channel, env: Mapping[str, str]) -> None:
        """Check the options; nothing is connected.

        Raises:
            NotConfigured: an option, or a variable that one names, is missing or invalid.
        """
        options = read_options(CeleryOptions, channel)
        self.timeout = options.timeout
        self.concurrency = options.concurrency
        self._options = options
        self._max_age = channel.max_age
        url = read_secret(options.broker_env, channel, env)
        try:
            self._broker = AsyncBroker(url)
        except NotConfigured as error:
            raise NotConfigured(f"{table_of(channel)}: {options.broker_env}: {error}") from None

    async def prepare(self) -> None:
        """See `Sender`."""

    async def send(self, delivery: Delivery, content: Content | None) -> Result:
        """See `Sender`."""
        headers = task_headers(
            id=delivery.id,
            task=self._options.task,
            summary=f"workflow {delivery.workflow}, channel {delivery.channel}",
            expires=delivery.occurred_at + self._max_age if self._options.expires else None,
        )
        if (trace := tracing.current_trace()) is not None:
            tracing.inject_trace(headers, trace)
        message = encode_task(
            headers,
            task_properties(id=delivery.id, queue=self._options.queue),
            task_arguments(delivery_json(delivery, content)),
            base64=True,
        )
        try:
            await self._broker.push(self._options.key_prefix + self._options.queue, [message])
        except BROKER_FAILURES as error:
            return Failed(reason=f"the broker did not take the task ({safe_reason(error)})", outage=True)
        return Sent()

    async def aclose(self) -> None:
        """See `Sender`."""
        await self._broker.aclose()
