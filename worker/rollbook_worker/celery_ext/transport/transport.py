"""Our transport, for one Redis and for one found by Sentinel: what it does by the clock."""

from __future__ import annotations

from typing import Any, Final

from rollbook_worker.celery_ext.transport import kombu_internals
from rollbook_worker.celery_ext.transport.channel import Channel, SentinelChannel
from rollbook_worker.celery_ext.transport.poller import Poller

LOOK_EVERY: Final = 1.0
"""Seconds until an idle worker looks for messages that it was not told of."""


class Transport(kombu_internals.Transport):  # type: ignore[misc]  # kombu ships no types
    """kombu's Redis transport with the channels of this package."""

    Channel = Channel

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cycle = Poller()

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        """See kombu. The timers end with the connection: Celery cancels those that were added while it opened one."""
        super().register_with_event_loop(connection, loop)
        self.cycle.ring_in(loop)
        loop.call_repeatedly(LOOK_EVERY, self.cycle.look_again)
        if every := connection.client.transport_options.get("health_check_interval", Channel.health_check_interval):
            loop.call_repeatedly(every, self.cycle.ping)


class SentinelTransport(Transport):
    """The same for `sentinel://` URLs."""

    Channel = SentinelChannel
    default_port = kombu_internals.SentinelTransport.default_port
