"""The connection of the workers: broker URLs as ever, with our transport for Redis behind them."""

from __future__ import annotations

from typing import Any, Final, Self

from rollbook_worker.celery_ext.transport import kombu_internals
from rollbook_worker.celery_ext.transport.transport import SentinelTransport, Transport

_OURS: Final = {"redis": Transport, "rediss": Transport, "sentinel": SentinelTransport}


class Connection(kombu_internals.Connection):  # type: ignore[misc]  # kombu ships no types
    """Chooses the transport by the URL's scheme, also after switching to an alternate URL.

    Naming the class in `broker_transport` would not: an alternate URL brings the stock transport back, and logs and
    Flower show the class instead of `redis`.
    """

    @classmethod
    def like(cls, connection: Any) -> Self:
        """The same connection with our transport. Neither is open yet."""
        return cls(**connection.info())

    def get_transport_cls(self) -> type[Transport]:
        """See kombu."""
        return _OURS.get(self.transport_cls) or super().get_transport_cls()
