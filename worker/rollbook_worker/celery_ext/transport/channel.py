"""A worker's side of the queues: claims messages, delivers them, and says what became of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from queue import Empty
from time import monotonic
from typing import Any, Final, NamedTuple

from redis.exceptions import OutOfMemoryError, ResponseError

from rollbook_shared.outcomes import DeadLetterCode
from rollbook_worker.celery_ext.transport import kombu_internals
from rollbook_worker.celery_ext.transport.envelope import opened
from rollbook_worker.celery_ext.transport.in_flight import holding_of
from rollbook_worker.celery_ext.transport.options import OPTIONS, Limits
from rollbook_worker.celery_ext.transport.prefetch_buffer import Intake
from rollbook_worker.celery_ext.transport.qos import QoS
from rollbook_worker.celery_ext.transport.script_connection import Line
from rollbook_worker.celery_ext.transport.unacked import Claim
from rollbook_worker.celery_ext.transport.wakeup import listen, read_news, tell

logger = logging.getLogger(__name__)

DELIVER_SECONDS: Final = 0.05
"""For so long messages are delivered before the event loop gets its turn: the solo pool works while we deliver."""


class Receiver(NamedTuple):
    """Who consumes a queue."""

    callback: Callable[[Any], object]
    no_ack: bool


class Channel(Limits, kombu_internals.Channel):  # type: ignore[misc]  # kombu ships no types
    """kombu's Redis channel with atomic claims and leases. Publishing and broadcasts are stock's."""

    QoS = QoS

    _in_poll: Any
    _brpop_sent_at: float | None

    from_transport_options = (*kombu_internals.Channel.from_transport_options, *OPTIONS)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._receivers: dict[str, Receiver] = {}
        self._intake = Intake()
        self._line: Line | None = None
        super().__init__(*args, **kwargs)
        self._holding = holding_of(self)

    # Consuming

    def basic_consume(
        self, queue: str, no_ack: bool, callback: Callable[[Any], object], consumer_tag: str, **kwargs: Any
    ) -> None:
        """See kombu."""
        super().basic_consume(queue, no_ack, callback, consumer_tag, **kwargs)
        if queue in self.active_queues:  # broadcasts are not
            self._receivers[queue] = Receiver(callback, no_ack)
            self._intake.expects_more = True

    def _basic_cancel(self, consumer_tag: str) -> None:
        queue = self._tag_to_queue.get(consumer_tag)
        super()._basic_cancel(consumer_tag)
        if queue is not None and queue not in self._active_queues:
            self._receivers.pop(queue, None)
            self._give_back_undelivered(queue)

    def basic_get(self, queue: str, no_ack: bool = False, **kwargs: Any) -> Any:
        """See kombu."""
        self._claim([queue], room=1, alone=True)
        received: list[Any] = []
        if self._intake.claims:
            self._deliver(self._intake.claims.pop(), Receiver(received.append, no_ack))
        return received[0] if received else None

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        """See kombu. A Redis that is full takes no note of bindings; a worker that gave up over it would never make
        room there, and jobs need none.
        """
        try:
            super()._queue_bind(exchange, routing_key, pattern, queue)
        except OutOfMemoryError:
            logger.warning("Redis is at its memory limit; the queue %s is consumed all the same", queue)

    def _size(self, queue: str) -> int:
        """See kombu, which asks in a transaction: a Redis 7 that is full refuses even to look there. It is asked when a
        worker begins.
        """
        with self.conn_or_acquire() as client:
            return sum(client.llen(self._q_for_pri(queue, step)) for step in self.priority_steps)

    def has_work(self) -> bool:
        """Tell whether `work` would do something now."""
        return (
            bool(self._intake.claims or (self._holding.acks and self._line) or self.qos.has_due()) or self._may_claim()
        )

    def work(self) -> bool:
        """Send acknowledgements, claim and deliver; tell whether anything was delivered.

        Does a little at a time: there may be more work when it returns.
        """
        self.qos.let_go_of_due()
        if not self._intake.claims:
            if self._may_claim():
                queues = self._intake.in_turn(list(self._receivers))
                self._claim(queues, room=self._room(), alone=not self._in_flight() or self._intake.is_careful)
            elif self._line is not None:  # acknowledgements are not for channels that only hear broadcasts
                with self._cut_if_it_breaks():
                    self._holding.send_acks(self._line)
        delivered, end = False, monotonic() + DELIVER_SECONDS
        while self._intake.claims and self.qos.can_consume() and monotonic() < end:
            receiver = self._receivers.get(queue := self._intake.claims[0].queue)
            if receiver is None:  # cancelled while we claimed: Celery does that from the handler of a signal
                self._give_back_undelivered(queue)
                continue
            self._deliver(self._intake.claims.popleft(), receiver)
            delivered = True
        return delivered

    def look_again(self) -> None:
        """Look for messages the next time, told of or not."""
        self._intake.expects_more = True

    def _may_claim(self) -> bool:
        return bool(self._receivers) and self._room() > 0 and self._intake.may_claim(is_idle=not self._in_flight())

    def _room(self) -> int:
        if not self.qos.can_consume() or self._holding.bytes >= self.hold_bytes:
            return 0
        room = self.qos.can_consume_max_estimate()
        return min(self.claim_limit, self.claim_limit if room is None else room - len(self._intake.claims))

    def _in_flight(self) -> bool:
        return bool(self._intake.claims) or self.qos.holds_any()

    def _claim(self, queues: Sequence[str], *, room: int, alone: bool) -> None:
        with self._cut_if_it_breaks():
            left, claims = self._holding.claim(self._open_line(), queues, room=room, alone=alone)
        self._intake.add(claims, left)

    def _deliver(self, claim: Claim, receiver: Receiver) -> None:
        try:
            payload = opened(claim.raw)
            payload["properties"]["delivery_tag"] = claim.tag
            message = self.Message(payload, channel=self)
        except Exception as error:  # whatever it is: a message that cannot be read must not end the worker
            logger.error("a message in %s cannot be read (%s); it is a dead letter", claim.queue, type(error).__name__)
            self._holding.bury(claim.tag, DeadLetterCode.MALFORMED)
            return
        if receiver.no_ack:
            self._holding.acks.add(claim.tag)
        else:
            self.qos.append(message, claim.tag)
        receiver.callback(message)

    # Being told of messages: what kombu does with BRPOP on this connection is to wait for news on ours

    def _brpop_start(self, timeout: float | None = None) -> None:
        connection = self.client.connection
        try:
            tell(self._open_line(), listen(connection))
        except ResponseError as error:
            logger.warning("Redis does not tell of new messages (%s); they wait up to a second", error)
        self._in_poll = connection
        self._brpop_sent_at = None
        self._intake.expects_more = True

    def _brpop_read(self, **options: Any) -> bool:
        try:
            if read_news(self.client.connection):
                self._brpop_sent_at = None
        except self.connection_errors:
            self._cut()
            raise
        self._intake.expects_more = True
        if not self.work():
            raise Empty
        return True

    def ping(self) -> None:
        """Ask the connection that tells of messages whether it is there; kombu drops it if no answer comes."""
        if self._in_poll and self._brpop_sent_at is None:
            self._brpop_sent_at = monotonic()
            self._in_poll.send_command("PING", check_health=False)

    def keep(self, tags: Iterable[str]) -> None:
        """Hold these for `longest_hold` from now: they do not hang, they wait for somebody else. From any thread."""
        self._holding.keep(tags)

    def put_off(self, tag: str) -> None:
        """The message is for others to try, in a while, and nobody died of it. From any thread."""
        self.qos.put_off(tag)

    # What became of messages: called by QoS

    def acknowledge(self, tag: str) -> None:
        """The message is done. From any thread, and sends nothing yet."""
        self._holding.acks.add(tag)

    def refuse(self, tag: str, *, requeue: bool) -> None:
        """The message is for others to try, or for nobody. From any thread. After the end all was given back."""
        if self.closed:
            return
        if requeue:
            self._holding.requeue(tag, counted=True)
        else:
            self._holding.bury(tag, DeadLetterCode.UNEXPECTED_ERROR)

    def let_go(self, tag: str) -> None:
        """The message was put off, and is for others to try now."""
        self._holding.requeue(tag, counted=False)

    def give_back(self) -> None:
        """Give back all that is held: what is delivered and not done, and behind it, unseen, what is not delivered."""
        self._give_back_undelivered()
        self._holding.give_back(self.qos.forget_unfinished(), seen=True)

    def restore(self) -> None:
        """Put back what workers held that are gone."""
        self._holding.restore()

    def _give_back_undelivered(self, queue: str | None = None) -> None:
        self._holding.give_back(self._intake.take_back(queue), seen=False)

    # Connections

    def close(self) -> None:
        """Give back what is held, and end. What Redis cannot be told now the next channel of this process tells it."""
        self._in_poll = None  # kombu would wait for news
        if not self.closed:
            self._holding.end()
            try:
                self._holding.send_last_acks()
                self.give_back()
            except (*self.connection_errors, ResponseError) as error:
                logger.warning("%s: what was claimed goes back with the next connection", type(error).__name__)
                self._holding.give_back_later(self._intake.take_back(), seen=False)
                self._holding.give_back_later(self.qos.forget_unfinished(), seen=True)
        super().close()

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        # a connection that is told of messages is a subscriber, as RESP2 has them
        parameters: dict[str, Any] = super()._connparams(asynchronous)
        return parameters | {"protocol": 2}

    def _open_line(self) -> Line:
        if self._line is None:
            self._line = Line(self.pool)
        return self._line

    def _cut(self) -> None:
        """Break both connections: the next to claim begins with being told again."""
        if self._line is not None:
            self._line.cut()
        if self.client.connection is not None:
            self.client.connection.disconnect()

    @contextmanager
    def _cut_if_it_breaks(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._cut()
            raise


class SentinelChannel(Channel, kombu_internals.SentinelChannel):  # type: ignore[misc]  # kombu ships no types
    """The same where Sentinel says which server is the master."""

    from_transport_options = tuple(
        dict.fromkeys((*Channel.from_transport_options, *kombu_internals.SentinelChannel.from_transport_options))
    )


__all__ = ["Channel", "SentinelChannel"]
