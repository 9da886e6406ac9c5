"""A worker's dispatcher of events: Celery's, made cheaper for the events of tasks, of which each job has three.

Celery's makes each event by itself, and encodes groups of them twice with the standard library. That took a third of
the processor time of a job. What is sent is the same.

An event by itself is a message by itself, which costs more than applying a job. Celery's dispatcher can put many events
into one message, and what listens (Flower, `celery events`) takes them apart. But it sends at every turn of the loop,
or every 24 events. Here a group is what happens within a tenth of a second, once `send_in_groups` was called. Each
event keeps the time and the order in which it happened.

Stock workers send no events of tasks until a monitor asks for them, and a worker that starts after the monitor is not
asked. These always send, but make no events that no monitor receives. Redis answers each group with the number of its
receivers. While that is zero, the first `PROBE_EVENTS` of a group are made and sent, and if none receives these either,
the rest of that group is left out. So a monitor that begins while no jobs run misses no event. One that begins while
thousands run misses the rest of a group.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, Final

import orjson
from celery.app.events import Events
from celery.events.dispatcher import EventDispatcher
from celery.utils.time import utcoffset

from rollbook_worker.celery_ext import privates

EVENTS: Final = f"{__name__}:RollbookEvents"

MAX_EVENTS: Final = 500
"""In one message: about 150 kB."""
MAX_DELAY_SECONDS: Final = 0.1
"""Of an event: too short to be noticed on a page."""
PROBE_EVENTS: Final = 24
"""Fewer than what a tenth of a second brings of 100 jobs per second, each of which has three events."""

_GROUP: Final = "task"
_ROUTING_KEY: Final = "task.multi"


class TaskEventDispatcher(EventDispatcher):  # type: ignore[misc]  # Celery ships no types
    """Celery's dispatcher, with its own way for the events of tasks where those are sent in groups."""

    on_send_buffered: Callable[[], object] | None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._is_grouped = _GROUP in self.buffer_group
        self._has_receivers = True
        self.skips_tasks = False
        """Whether events of tasks are left out for now: who makes many of them asks this before."""
        self._is_flush_scheduled = False
        self._describe_sender()

    def send_in_groups(self, hub: Any, timer: Any) -> None:
        """From now on send together what happens within `MAX_DELAY_SECONDS`, in this loop; the rest when it ends."""
        self._hub, self._timer = hub, timer
        self.buffer_limit = MAX_EVENTS
        self.on_send_buffered = self._flush_soon
        hub.on_close.add(self._flush_last)

    def send(self, type: str, *args: Any, **fields: Any) -> Any:
        """See Celery. What the broker does not take is sent after the next connection, and never retried here.

        Celery retries a heartbeat until the broker is back. Until then the loop would not turn, and a signal to stop
        would have no effect.
        """
        if args or not self._is_grouped or not type.startswith("task-"):
            return super().send(type, *args, **fields | {"retry": False})
        self.send_all(type, (fields,))
        return None

    def send_all(self, type: str, several: Iterable[dict[str, Any]]) -> None:
        """Send an event of a task for each of these fields. All of them happen at the same time."""
        if not self._is_grouped:
            for fields in several:
                super().send(type, **fields)
        elif self.enabled and not self.skips_tasks and (not self.groups or _GROUP in self.groups):
            clock, now, sender = self.clock.forward(), time.time(), self._sender
            events = self._group_buffer[_GROUP]
            for fields in several:
                events.append({"type": type, **fields, **sender, "clock": clock, "timestamp": now})
            if self.on_send_buffered:
                self.on_send_buffered()
            if len(events) >= (self.buffer_limit if self._has_receivers else PROBE_EVENTS):
                self._send_buffered()

    def _send_buffered(self) -> None:
        self._send_group()
        if not self._has_receivers and self.on_send_buffered:
            self.skips_tasks = True
            self.on_send_buffered()  # after the line above, so that a flush that ends it is still to come

    def flush(self, errors: bool = True, groups: bool = True) -> None:
        """See Celery."""
        super().flush(errors=errors, groups=groups and not self._is_grouped)
        if groups and self._is_grouped:
            self.skips_tasks = False
            self._describe_sender()
            self._send_group()

    def _flush_soon(self) -> None:
        # events of jobs that run individually come from the pool's threads; only the loop may use the timer
        if not self._is_flush_scheduled:
            self._is_flush_scheduled = True
            self._hub.call_soon(self._timer.call_after, MAX_DELAY_SECONDS, self._flush_scheduled)

    def _flush_scheduled(self) -> None:
        self._is_flush_scheduled = False
        self.flush()

    def _flush_last(self, hub: Any) -> None:
        hub.on_close.discard(self._flush_last)
        self.flush()

    def _describe_sender(self) -> None:
        """Note what all events say of this worker. The offset changes twice a year."""
        self._sender = {"hostname": self.hostname, "utcoffset": utcoffset(), "pid": self.pid}

    def _send_group(self) -> None:
        with self.mutex:
            if not self._closed:
                self._send_tasks()

    def _send_tasks(self) -> None:
        events = self._group_buffer[_GROUP]
        group = events[:]
        del events[: len(group)]  # others may have come from a thread meanwhile
        if not group or self.producer is None:
            return
        channel = self.producer.channel
        body = _encoded(group) if isinstance(channel, privates.Channel) else None
        if body is None:
            self._publish(group, self.producer, _ROUTING_KEY)
            return
        try:
            self._publish_encoded(channel, body)
        except Exception:
            if not self.buffer_while_offline:
                raise
            self._outbound_buffer.append((group, _ROUTING_KEY))

    def _publish_encoded(self, channel: Any, body: bytes) -> None:
        """As kombu publishes to an exchange of the type fanout. Its producer would encode the message anew."""
        exchange = self.exchange.name
        message = channel.prepare_message(
            body,
            content_type="application/json",
            content_encoding="utf-8",
            headers=self.headers,
            properties={"delivery_mode": self.delivery_mode},
        )
        channel._inplace_augment_message(message, exchange, _ROUTING_KEY)
        encoded = orjson.dumps(message)
        with channel.conn_or_acquire() as client:
            topics = channel._get_publish_topics(exchange, _ROUTING_KEY)
            receivers = [client.publish(topic, encoded) for topic in topics]
        self._has_receivers = any(receivers)


def _encoded(group: list[dict[str, Any]]) -> bytes | None:
    """The events as JSON; None if only Celery's encoder takes them."""
    try:
        return orjson.dumps(group)
    except TypeError:  # a header of another program has half a character in it
        return None


class RollbookEvents(Events):  # type: ignore[misc]  # Celery ships no types
    """Celery's events with this dispatcher."""

    dispatcher_cls = f"{__name__}:TaskEventDispatcher"
