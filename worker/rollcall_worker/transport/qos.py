"""What became of delivered messages: acknowledged, refused, or given back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rollcall_worker.transport import stock

if TYPE_CHECKING:
    from rollcall_worker.transport.channel import Channel


class QoS(stock.QoS):  # type: ignore[misc]  # kombu ships no types
    """kombu's bookkeeping of delivered messages. Acknowledging is for any thread, and sends nothing by itself."""

    channel: Channel

    def append(self, message: Any, delivery_tag: str) -> None:
        """Note a delivery. Unlike stock nothing is sent: the claim has put the message into `unacked`."""
        stock.VirtualQoS.append(self, message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """The message is done."""
        self.channel.acknowledge(delivery_tag)
        stock.VirtualQoS.ack(self, delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """The message is refused: with `requeue` others may try, else it is dead. (Stock drops it.)"""
        self.channel.refuse(delivery_tag, requeue=requeue)
        stock.VirtualQoS.ack(self, delivery_tag)

    def holds_any(self) -> bool:
        """Tell whether there are messages that were delivered and not acknowledged."""
        return len(self._delivered) > len(self._dirty)

    def forget_unfinished(self) -> list[str]:
        """Forget those messages; return their tags, in order of delivery."""
        tags = [tag for tag in list(self._delivered) if tag not in self._dirty]
        self._delivered.clear()
        self._dirty.clear()
        return tags

    def restore_unacked(self, client: Any = None) -> None:
        """Give everything back."""
        self.channel.give_back()

    def restore_visible(self, start: int = 0, num: int | None = None, interval: int = 10) -> None:
        """Put back what workers held that are gone; every `interval`th call, as stock does."""
        self._vrestore_count += 1
        if (self._vrestore_count - 1) % (interval or 1) == 0:
            self.channel.restore()
