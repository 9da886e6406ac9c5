"""What the process needs of others: deliveries to claim, templates, and something that counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from rollbook.models import Content, Delivery
from rollbook_delivery.results import Result

Render = Callable[[Delivery], Content | None]
"""Renders a message; None: there is no template for it. Raises `Unrenderable`."""


class Unrenderable(Exception):
    """A message that cannot be rendered, now or later. `reason` says why, and holds nothing of the message."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class DeliveryQueue(Protocol):
    """The deliveries of all channels. Its calls raise `Unavailable` while the database is away."""

    async def wait(self, channel: str, timeout: float) -> bool:
        """Wait until a delivery of the channel may be claimed; False: none came in time. May be cancelled."""

    async def claim(self, channel: str, *, limit: int, lease: float) -> Sequence[Delivery]:
        """Take deliveries that may be claimed, for `lease` seconds. There may be none."""

    async def report(self, delivery: Delivery, result: Result) -> None:
        """Say what became of a delivery. A report of a lease that was lost is logged, and does not count."""

    async def release(self, deliveries: Sequence[Delivery]) -> None:
        """Put deliveries back that were not begun; that is no attempt."""

    async def aclose(self) -> None:
        """Close the connections."""


class DeliveryObserver(Protocol):
    """Counts and logs what happens in one channel. Never an address, nothing of a message."""

    def claimed(self, deliveries: int) -> None:
        """So many were claimed."""

    def finished(self, delivery: Delivery, result: Result, seconds: float) -> None:
        """An attempt has ended, after so long."""

    def released(self, deliveries: int) -> None:
        """So many were put back, because they could not be begun."""

    def paused(self, reason: str, seconds: float) -> None:
        """The channel waits for so long, because all of its messages would fail now."""

    def resumed(self) -> None:
        """The channel works again."""

    def stopped(self, reason: str) -> None:
        """The channel's other side wants no more messages: none is claimed until the channel is configured anew."""
