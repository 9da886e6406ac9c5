"""What became of delivered messages: acknowledged, rejected, or given back."""

from __future__ import annotations

from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from rollbook_worker.celery_ext.transport import kombu_internals

if TYPE_CHECKING:
    from rollbook_worker.celery_ext.transport.channel import Channel


PUT_OFF_SECONDS: Final = 5.0
"""Between two tries of a message for which this is no time, in whoever's hands: Postgres is asked once, not at once
again."""


class QoS(kombu_internals.QoS):  # type: ignore[misc]  # kombu ships no types
    """kombu's bookkeeping of delivered messages. Acknowledging is for any thread, and sends nothing by itself."""

    channel: Channel

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._put_off: deque[tuple[float, str]] = deque()

    def append(self, message: Any, delivery_tag: str) -> None:
        """Note a delivery. Unlike stock nothing is sent: the claim has put the message into `unacked`."""
        kombu_internals.VirtualQoS.append(self, message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """The message is done."""
        self.channel.acknowledge(delivery_tag)
        kombu_internals.VirtualQoS.ack(self, delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """The message is rejected: with `requeue` others may try, else it is dead. (Stock drops it.)"""
        self.channel.refuse(delivery_tag, requeue=requeue)
        kombu_internals.VirtualQoS.ack(self, delivery_tag)

    def put_off(self, delivery_tag: str) -> None:
        """The message cannot be done now, whoever tries: hold it for `PUT_OFF_SECONDS`. From any thread."""
        self._put_off.append((monotonic() + PUT_OFF_SECONDS, delivery_tag))

    def has_due(self) -> bool:
        """Tell whether a message was put off for long enough."""
        return bool(self._put_off) and self._put_off[0][0] <= monotonic()

    def let_go_of_due(self) -> None:
        """Let others try those messages."""
        while self.has_due():
            _, tag = self._put_off[0]
            self.channel.let_go(tag)
            kombu_internals.VirtualQoS.ack(self, tag)
            self._put_off.popleft()

    def holds_any(self) -> bool:
        """Tell whether there are messages that were delivered and not acknowledged."""
        return len(self._delivered) > len(self._dirty)

    def forget_unfinished(self) -> list[str]:
        """Forget those messages; return their tags, in order of delivery."""
        tags = [tag for tag in list(self._delivered) if tag not in self._dirty]
        self._put_off.clear()
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
