"""A worker's side of the queues: claims messages and delivers them. `in_flight` settles them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from queue import Empty
from time import monotonic
from typing import Any, Final, NamedTuple

from redis.exceptions import OutOfMemoryError, ResponseError

from rollbook_shared.job_states import DeadLetterCode
from rollbook_shared.queue_owner import OWNER_KEY, describe_foreign_owner
from rollbook_worker.celery_ext import privates
from rollbook_worker.celery_ext.transport.claimed_messages import ClaimedMessage
from rollbook_worker.celery_ext.transport.in_flight import MessagesInFlight
from rollbook_worker.celery_ext.transport.plain_message import DeliveredMessage, PlainMessage
from rollbook_worker.celery_ext.transport.poller import read_notifications, subscribe, track_reads
from rollbook_worker.celery_ext.transport.queue_scripts import ScriptConnection

logger = logging.getLogger(__name__)

DELIVER_SECONDS: Final = 0.05
"""Messages are delivered for at most this long before the event loop continues: the solo pool runs tasks meanwhile."""


class LeaseOptions:
    """Celery's `broker_transport_options` of this transport, with their defaults."""

    lease: float = 30.0
    """Seconds after which a worker that has not renewed counts as gone. The package says why it is so long."""
    max_lease: float = 900.0
    """Seconds after which other workers get a message although its worker lives."""
    max_deliveries: int = 5
    """Failed deliveries after which a message becomes a dead letter; 0: never."""
    claim_limit: int = 200
    """Messages in one claim: about 2 ms of Redis' time, and an answer of about 200 KB."""
    claim_bytes: int = 4_000_000
    """Bytes after which a claim takes no further message, and a restore puts none back: about 50 ms of Redis' time.
    With much more Redis would not answer within `socket_timeout`, and what was claimed would wait for its lease."""
    in_flight_bytes: int = 64_000_000
    """Bytes in flight from which no more is claimed: 200 bulk jobs may be gigabytes, and a worker's memory is not."""
    dead_letter_task: str = "rollbook.dead_letter"
    """The task that stores dead letters. Its arguments are the message, the reason and a code."""
    dead_letter_key: str = "dead_letters"
    """The list of messages that this task could not store. It should be empty."""
    store_id: Callable[[], str | None] | None = None
    """Gives the id of the store for which this worker takes messages, or None while it is not known yet: then the
    worker takes none. Without this option it takes them whichever store the queues belong to."""
    owner_key: str = OWNER_KEY
    """The key with the id of the store to which the queues belong. The first worker sets it."""


class QueueConsumer(NamedTuple):
    """What receives the messages of a queue."""

    callback: Callable[[Any], object]
    no_ack: bool


class LeasedChannel(LeaseOptions, privates.Channel):  # type: ignore[misc]  # kombu ships no types
    """kombu's Redis channel with atomic claims and leases. Publishing and broadcasts are kombu's."""

    QoS = MessagesInFlight
    Message = PlainMessage
    qos: MessagesInFlight

    take: Callable[[DeliveredMessage], bool] | None = None
    """Takes a message before kombu's is made of it; returns whether it did."""

    _in_poll: Any
    _brpop_sent_at: float | None

    from_transport_options = (*privates.Channel.from_transport_options, *LeaseOptions.__annotations__)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._queue_consumers: dict[str, QueueConsumer] = {}
        self._script_connection: ScriptConnection | None = None
        super().__init__(*args, **kwargs)

    # Consuming

    def basic_consume(
        self, queue: str, no_ack: bool, callback: Callable[[Any], object], consumer_tag: str, **kwargs: Any
    ) -> None:
        """See kombu."""
        super().basic_consume(queue, no_ack, callback, consumer_tag, **kwargs)
        if queue in self.active_queues:  # broadcasts are not
            self._queue_consumers[queue] = QueueConsumer(callback, no_ack)
            self.expect_messages()

    def _basic_cancel(self, consumer_tag: str) -> None:
        queue = self._tag_to_queue.get(consumer_tag)
        super()._basic_cancel(consumer_tag)
        if queue is not None and queue not in self._active_queues:
            self._queue_consumers.pop(queue, None)
            self.qos.release_undelivered(queue)

    def basic_get(self, queue: str, no_ack: bool = False, **kwargs: Any) -> Any:
        """See kombu."""
        if self.knows_store():
            self.claim([queue], room=1, allow_suspect=True)
        received: list[Any] = []
        if self.qos.undelivered.messages:
            self._deliver(self.qos.undelivered.messages.pop(), QueueConsumer(received.append, no_ack))
        return received[0] if received else None

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        """See kombu. A Redis that is full cannot record bindings. A worker that stopped for that would never free
        memory there, and jobs need no bindings.
        """
        try:
            super()._queue_bind(exchange, routing_key, pattern, queue)
        except OutOfMemoryError:
            logger.warning("Redis is at its memory limit; consuming the queue %s without a binding", queue)

    def _size(self, queue: str) -> int:
        """See kombu, which asks in a transaction when a worker starts: a Redis 7 that is full refuses even that."""
        with self.conn_or_acquire() as client:
            return sum(client.llen(self._q_for_pri(queue, step)) for step in self.priority_steps)

    def has_work(self) -> bool:
        """Whether `work` would do something now."""
        return (
            bool(self.qos.undelivered.messages or (self.qos.has_acks and self._script_connection))
            or self.qos.has_snoozed_due()
            or self._may_claim()
        )

    def work(self) -> bool:
        """Send acknowledgements, claim, and deliver; return whether a message was delivered.

        It does a little at a time: there may be more work when it returns.
        """
        qos = self.qos
        qos.requeue_snoozed()
        buffer = qos.undelivered
        if not buffer.messages:
            if self._may_claim():
                queues = buffer.in_turn(list(self._queue_consumers))
                self.claim(queues, room=self._room(), allow_suspect=qos.is_empty or buffer.has_suspect)
            elif self._script_connection is not None:  # channels that only receive broadcasts have none
                with self._disconnect_on_error():
                    qos.send_acks(self._script_connection)
        delivered, end = False, monotonic() + DELIVER_SECONDS
        while buffer.messages and qos.can_consume() and monotonic() < end:
            consumer = self._queue_consumers.get(queue := buffer.messages[0].queue)
            if consumer is None:  # cancelled during the claim: Celery does that in a signal handler
                qos.release_undelivered(queue)
                continue
            self._deliver(buffer.messages.popleft(), consumer)
            delivered = True
        return delivered

    def expect_messages(self) -> None:
        """Let the next `work` claim, whether or not Redis sent a notification."""
        self.qos.undelivered.expects_more = True

    def claim(self, queues: Sequence[str], *, room: int, allow_suspect: bool) -> None:
        """Claim up to `room` messages of these queues."""
        before = self.qos.foreign_owner
        with self._disconnect_on_error():
            self.qos.claim(self.open_script_connection(), queues, room=room, allow_suspect=allow_suspect)
        if (owner := self.qos.foreign_owner) != before:
            if owner:
                logger.error("taking no jobs: %s", describe_foreign_owner(owner, self.qos.scripts.store))
            else:
                logger.warning("the queues in Redis belong to this database now; taking jobs")

    def knows_store(self) -> bool:
        """Whether it is known for which store this worker takes messages."""
        if self.store_id is not None and not self.qos.scripts.store:
            self.qos.scripts.own(self.store_id() or "")
            return bool(self.qos.scripts.store)
        return True

    @property
    def takes_messages(self) -> bool:
        """Whether this worker may take messages: not from queues that belong to another store."""
        return self.knows_store() and not self.qos.foreign_owner

    def _may_claim(self) -> bool:
        return (
            bool(self._queue_consumers)
            and self._room() > 0
            and self.qos.undelivered.may_claim(is_idle=self.qos.is_empty)
            and self.knows_store()
        )

    def _room(self) -> int:
        if not self.qos.can_consume() or self.qos.bytes >= self.in_flight_bytes:
            return 0
        room = self.qos.can_consume_max_estimate()
        return min(self.claim_limit, self.claim_limit if room is None else room - len(self.qos.undelivered.messages))

    def _deliver(self, claimed: ClaimedMessage, consumer: QueueConsumer) -> None:
        try:
            delivered = DeliveredMessage(claimed.envelope(), claimed.tag, len(claimed.raw), self)
        except Exception as error:  # of any kind: a message that cannot be read must not stop the worker
            self._give_up(claimed, error)
            return
        if self.take is not None and not consumer.no_ack:
            self.qos.append(delivered, claimed.tag)
            if self.take(delivered):
                return
        try:
            message = delivered.message()
        except Exception as error:
            self._give_up(claimed, error)
            return
        if consumer.no_ack:
            self.qos.acknowledge(claimed.tag)
        else:
            self.qos.append(message, claimed.tag)
        consumer.callback(message)

    def _give_up(self, claimed: ClaimedMessage, error: Exception) -> None:
        logger.error("dead-lettered an unreadable message in %s (%s)", claimed.queue, type(error).__name__)
        self.qos.dead_letter(claimed.tag, DeadLetterCode.MALFORMED)

    def _deliver_fanout_message(self, message: Any, exchange: str) -> Any:
        """See kombu, where a broadcast that is no message ends the worker, and every other worker too."""
        try:
            return super()._deliver_fanout_message(message, exchange)
        except self.connection_errors:
            raise
        except Exception as error:
            logger.warning("ignored a broadcast that cannot be read (%s)", type(error).__name__)
            return True

    # Notifications. kombu waits here for the answer to a BRPOP; this channel waits on the same connection for
    # notifications of messages that arrive.

    def _brpop_start(self, timeout: float | None = None) -> None:
        connection = self.client.connection
        try:
            track_reads(self.open_script_connection(), notify=subscribe(connection))
        except ResponseError as error:
            logger.warning("Redis sends no notifications (%s); new messages wait up to a second", error)
        self._in_poll = connection
        self._brpop_sent_at = None
        self.expect_messages()

    def _brpop_read(self, **options: Any) -> bool:
        try:
            if read_notifications(self.client.connection):
                self._brpop_sent_at = None
        except self.connection_errors:
            self._disconnect()
            raise
        self.expect_messages()
        if not self.work():
            raise Empty
        return True

    def ping(self) -> None:
        """Ping Redis on the connection for notifications. kombu closes it if no answer comes."""
        if self._in_poll and self._brpop_sent_at is None:
            self._brpop_sent_at = monotonic()
            self._in_poll.send_command("PING", check_health=False)

    # For tasks; from any thread

    def extend_leases(self, tags: Iterable[str]) -> None:
        """Hold these for `max_lease` from now: they do not hang, they wait."""
        self.qos.extend_leases(tags)

    def snooze(self, tag: str) -> None:
        """No worker can do the message now: requeue it in a while. That does not count as a failed delivery."""
        self.qos.snooze(tag)

    # Connections

    def close(self) -> None:
        """Release everything, and end."""
        self._in_poll = None  # kombu would wait for a notification
        if not self.closed:
            self.qos.close()
        super().close()

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        # the connection for notifications is a subscriber, as RESP2 has them
        parameters: dict[str, Any] = super()._connparams(asynchronous)
        return parameters | {"protocol": 2}

    def open_script_connection(self) -> ScriptConnection:
        """The connection on which the event loop's thread claims and acknowledges."""
        if self._script_connection is None:
            self._script_connection = ScriptConnection(self.pool)
        return self._script_connection

    def _disconnect(self) -> None:
        """Close both connections: the next claim subscribes anew."""
        if self._script_connection is not None:
            self._script_connection.disconnect()
        if self.client.connection is not None:
            self.client.connection.disconnect()

    @contextmanager
    def _disconnect_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._disconnect()
            raise


class LeasedSentinelChannel(LeasedChannel, privates.SentinelChannel):  # type: ignore[misc]  # kombu ships no types
    """The same where Sentinel says which server is the master."""

    from_transport_options = tuple(
        dict.fromkeys((*LeasedChannel.from_transport_options, *privates.SentinelChannel.from_transport_options))
    )


__all__ = ["LeasedChannel", "LeasedSentinelChannel"]
