"""Sends task events in groups. An event by itself is a message by itself, which costs more than applying a job.

Celery's dispatcher can put many events into one message, and what listens (Flower, `celery events`) takes them apart.
But it sends at every turn of the loop, or every 24 events. Here a group is what happens within a tenth of a second.
Each event keeps the time and the order in which it happened.
"""

from __future__ import annotations

from typing import Any, Final, Self

MAX_EVENTS: Final = 500
"""In one message: about 150 kB."""
MAX_DELAY_SECONDS: Final = 0.1
"""Of an event: too short to be noticed on a page."""


class GroupedEvents:
    """Makes a consumer's dispatcher send its events in groups; there is one per connection."""

    def __init__(self, dispatcher: Any, hub: Any, timer: Any) -> None:
        self._dispatcher = dispatcher
        self._hub = hub
        self._timer = timer
        self._is_scheduled = False
        dispatcher.buffer_limit = MAX_EVENTS
        dispatcher.on_send_buffered = self._flush_soon
        hub.on_close.add(self._flush_last)

    @classmethod
    def of(cls, consumer: Any) -> Self | None:
        """For this consumer's events; None if it sends none."""
        dispatcher = consumer.event_dispatcher
        return cls(dispatcher, consumer.hub, consumer.timer) if dispatcher else None

    def flush(self) -> None:
        """Send what is buffered."""
        self._is_scheduled = False
        self._dispatcher.flush()

    def _flush_soon(self) -> None:
        # events of jobs that run individually come from the pool's threads; only the loop may use the timer
        if not self._is_scheduled:
            self._is_scheduled = True
            self._hub.call_soon(self._timer.call_after, MAX_DELAY_SECONDS, self.flush)

    def _flush_last(self, hub: Any) -> None:
        hub.on_close.discard(self._flush_last)
        self.flush()
