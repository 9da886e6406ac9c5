"""The connection and the transport of workers, for one Redis and for one that Sentinel finds."""

from __future__ import annotations

from typing import Any, Final, Self

from rollbook_worker.celery_ext import privates
from rollbook_worker.celery_ext.transport.channel import LeasedChannel, LeasedSentinelChannel
from rollbook_worker.celery_ext.transport.poller import Poller, StandingReaders

CHECK_EVERY_SECONDS: Final = 1.0
"""Until an idle worker checks for messages of which it was not notified."""


class LeasedTransport(privates.Transport):  # type: ignore[misc]  # kombu ships no types
    """kombu's Redis transport with the channels of this package."""

    Channel = LeasedChannel

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cycle = Poller()

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        """See kombu. The timers end with the connection: Celery cancels those that were added while it opened one."""
        super().register_with_event_loop(connection, StandingReaders(loop, self.cycle.watched))
        self.cycle.register(loop)
        loop.call_repeatedly(CHECK_EVERY_SECONDS, self.cycle.expect_messages)
        if every := connection.client.transport_options.get(
            "health_check_interval", LeasedChannel.health_check_interval
        ):
            loop.call_repeatedly(every, self.cycle.ping)


class LeasedSentinelTransport(LeasedTransport):
    """The same for `sentinel://` URLs."""

    Channel = LeasedSentinelChannel
    default_port = privates.SentinelTransport.default_port


_TRANSPORTS: Final = {"redis": LeasedTransport, "rediss": LeasedTransport, "sentinel": LeasedSentinelTransport}


class LeasedConnection(privates.Connection):  # type: ignore[misc]  # kombu ships no types
    """A connection to the usual broker URLs, with our transport for Redis.

    It chooses the transport by the URL's scheme, also after a switch to an alternate URL. Naming the class in
    `broker_transport` would not work: an alternate URL would bring the stock transport back, and logs and Flower would
    show the class instead of `redis`.
    """

    @classmethod
    def like(cls, connection: Any, **options: Any) -> Self:
        """The same connection with our transport, and further options for it. Neither is open yet."""
        info = dict(connection.info())
        return cls(**info | {"transport_options": {**(info.get("transport_options") or {}), **options}})

    def info(self) -> dict[str, Any]:
        """See kombu. `celery inspect stats` sends this, so it must be JSON."""
        info = dict(super().info())
        options = {name: value for name, value in info["transport_options"].items() if not callable(value)}
        return {**info, "transport_options": options}

    def get_transport_cls(self) -> type[LeasedTransport]:
        """See kombu."""
        return _TRANSPORTS.get(self.transport_cls) or super().get_transport_cls()
