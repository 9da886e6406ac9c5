"""Task events in groups. An event of its own is a message of its own, which costs more than applying a job.

Celery's dispatcher can already put many events into one message, and what listens (Flower, `celery events`) takes them
apart; only does it send at every turn of the loop, or every 24 events. Here a group is what comes within a moment.
Each event keeps the time and the order in which it happened.
"""

from __future__ import annotations

from typing import Any, Final

MOST_EVENTS: Final = 500
"""In one message: about 150 kB."""
WITHIN_SECONDS: Final = 0.1
"""How late an event may be: less than anybody sees who looks at a page."""


class GroupedEvents:
    """Has a consumer's dispatcher send its events in groups; made anew for each connection."""

    def __init__(self, dispatcher: Any, hub: Any, timer: Any) -> None:
        self._dispatcher = dispatcher
        self._hub = hub
        self._timer = timer
        self._sending = False
        dispatcher.buffer_limit = MOST_EVENTS
        dispatcher.on_send_buffered = self._soon
        hub.on_close.add(self._last)

    def flush(self) -> None:
        """Send what is held."""
        self._sending = False
        self._dispatcher.flush()

    def _soon(self) -> None:
        # events of jobs that run by the ordinary way come from the pool's threads; the timer is the loop's alone
        if not self._sending:
            self._sending = True
            self._hub.call_soon(self._timer.call_after, WITHIN_SECONDS, self.flush)

    def _last(self, hub: Any) -> None:
        hub.on_close.discard(self._last)
        self.flush()
