"""What all senders have in common."""

from __future__ import annotations

from typing import Protocol

from rollbook.models import Content, Delivery
from rollbook_delivery.results import Result


class Sender(Protocol):
    """Hands the messages of one channel over. Coroutines of one event loop use it; several messages at a time."""

    @property
    def timeout(self) -> float:
        """Seconds that one message may take. The caller cuts what takes longer: `send` ends when it is cancelled, and
        hands nothing over afterwards.
        """

    @property
    def concurrency(self) -> int:
        """How many messages may be on their way at a time."""

    async def prepare(self) -> None:
        """Make ready to send. It is awaited at the start, and again before messages are claimed.

        Raises:
            NotConfigured: an option is invalid, as only the sender's library knows.
            Unavailable: it is not possible now.
        """

    async def send(self, delivery: Delivery, content: Content | None) -> Result:
        """Hand one message over. It raises nothing but `asyncio.CancelledError`.

        content: None: no template renders this message.
        """

    async def aclose(self) -> None:
        """Close the connections. Nothing is sent afterwards."""
