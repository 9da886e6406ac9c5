"""The messages of one channel that are claimed and not settled: in its prefetch buffer, or delivered to a task.

Acknowledgements and releases that Redis has not received yet outlive the channel: the next channel of this process to
the same broker sends them. A job that is done must not be done again because its acknowledgement met a broken
connection. And a message that could not be released must not wait for the end of its lease, which would count as a
failed delivery although no worker died.
"""

from __future__ import annotations

import logging
from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final, NamedTuple

from redis.connection import ConnectionPool
from redis.exceptions import ResponseError

from rollbook_shared.job_states import DeadLetterCode
from rollbook_worker.celery_ext import privates
from rollbook_worker.celery_ext.transport.claimed_messages import PrefetchBuffer
from rollbook_worker.celery_ext.transport.lease_renewal import LeaseRenewal, Leases
from rollbook_worker.celery_ext.transport.queue_scripts import QueueScripts, ScriptConnection

logger = logging.getLogger(__name__)

SNOOZE_SECONDS: Final = 5.0
"""Between two tries of a snoozed message, whichever worker tries it: Postgres is not asked again at once."""
RESTORE_LIMIT: Final = 500
"""Messages restored in one step: about 10 ms of Redis' time."""
_MAX_TAGS: Final = 1_000
"""Tags in one call: Lua's stack holds about 8,000 values."""


class PendingRelease(NamedTuple):
    """Messages of one channel, in their order, that go back to their queues."""

    tags: Sequence[str]
    delivered: bool
    """A task may have started them."""
    held_at: float
    """When Redis last confirmed, by its own clock, that they are ours. A worker that claimed one since keeps it."""


@dataclass(frozen=True, slots=True)
class PendingSettlements:
    """What Redis has not received yet. Any thread may append."""

    acks: deque[str] = field(default_factory=deque)
    releases: deque[PendingRelease] = field(default_factory=deque)


_pending: Final[defaultdict[Hashable, PendingSettlements]] = defaultdict(PendingSettlements)
"""By broker."""


class MessagesInFlight(privates.QoS):  # type: ignore[misc]  # kombu ships no types
    """Claims messages, settles them, and keeps their leases until they are settled.

    This is kombu's `QoS`, its record of delivered messages, with the claim and the prefetch buffer before it.
    `claim` and `send_acks` are for the event loop's thread, on its connection. The other methods are for any thread;
    `ack` sends nothing by itself.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.undelivered = PrefetchBuffer()
        self.scripts = QueueScripts.of(self.channel)
        self.leases = Leases(self.channel.max_lease)
        self._pool: ConnectionPool = self.channel.pool
        self.renewal = LeaseRenewal(self.leases, self.scripts, self._pool, self.channel.lease)
        self._pending = _pending[_broker_of(self.channel)]
        self._snoozed: deque[tuple[float, str]] = deque()
        self.foreign_owner = ""
        """The id of the other store to which the queues belonged at the last claim, if they did."""

    # Claiming

    @property
    def is_empty(self) -> bool:
        """Whether no message is claimed and not settled."""
        return not self.undelivered.messages and not self._delivered

    @property
    def bytes(self) -> int:
        """Size of all messages in flight."""
        return self.leases.bytes

    def claim(self, connection: ScriptConnection, queues: Sequence[str], *, room: int, allow_suspect: bool) -> None:
        """Send acknowledgements and claim, in one step; see `QueueScripts.claim`. What an earlier channel could not
        release is released before.
        """
        self._send_releases(connection)
        acks = self._take_acks()
        try:
            claim = self.scripts.claim(connection, queues, room=room, allow_suspect=allow_suspect, acks=acks)
        except BaseException:
            self._put_back_acks(acks)
            raise
        self.leases.drop(acks)
        self.leases.add({message.tag: len(message.raw) for message in claim.messages}, at=claim.at)
        if claim.messages:
            self.renewal.start()
        self.undelivered.add(claim.messages, claim.state)
        self.foreign_owner = claim.owner

    def append(self, message: Any, delivery_tag: str) -> None:
        """Record a delivery. Unlike the stock transport this sends nothing: the claim has put the message into
        `unacked`.
        """
        self._delivered[delivery_tag] = message

    def extend_leases(self, tags: Iterable[str]) -> None:
        """Hold these for `max_lease` from now: they do not hang, they wait."""
        self.leases.extend(tags)

    # Done

    def ack(self, delivery_tag: str) -> None:
        """The message is done."""
        self.acknowledge(delivery_tag)
        self._forget(delivery_tag)

    def acknowledge(self, tag: str) -> None:
        """The same for a message that was delivered without a record (`no_ack`)."""
        self._pending.acks.append(tag)

    @property
    def has_acks(self) -> bool:
        """Whether there are acknowledgements to send."""
        return bool(self._pending.acks)

    def send_acks(self, connection: ScriptConnection) -> None:
        """Send the pending acknowledgements. If that fails they stay pending."""
        while tags := self._take_acks():
            try:
                self.scripts.acknowledge(connection, tags)
            except BaseException:
                self._put_back_acks(tags)
                raise
            self.leases.drop(tags)

    def send_last_acks(self) -> None:
        """The same on a new connection: the current one may be the reason why the channel ends."""
        if self._pending.acks:
            with ScriptConnection.borrow(self._pool) as connection:
                self.send_acks(connection)

    def _take_acks(self) -> list[str]:
        """Take some, oldest first. If they cannot be sent, `_put_back_acks` must follow."""
        acks = self._pending.acks
        return [acks.popleft() for _ in range(min(len(acks), _MAX_TAGS))]

    def _put_back_acks(self, tags: list[str]) -> None:
        self._pending.acks.extendleft(reversed(tags))

    # Not done

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Requeue the message for others to try, or make a dead letter of it. (The stock transport drops it.)"""
        if not self.channel.closed:  # at the end everything was released
            if requeue:
                self._requeue(delivery_tag, counted=True)
            else:
                self.dead_letter(delivery_tag, DeadLetterCode.UNEXPECTED_ERROR)
        self._forget(delivery_tag)

    def dead_letter(self, tag: str, code: DeadLetterCode) -> None:
        """Make a dead letter of a message; `code` says why."""
        self._settle([tag], lambda connection: self.scripts.dead_letter(connection, [tag], code))
        self._forget(tag)

    def snooze(self, delivery_tag: str) -> None:
        """No worker can do the message now: requeue it after `SNOOZE_SECONDS`."""
        self._snoozed.append((monotonic() + SNOOZE_SECONDS, delivery_tag))

    def has_snoozed_due(self) -> bool:
        """Whether a message was snoozed for long enough."""
        return bool(self._snoozed) and self._snoozed[0][0] <= monotonic()

    def requeue_snoozed(self) -> None:
        """Requeue those messages."""
        while self.has_snoozed_due():
            _, tag = self._snoozed[0]
            self._requeue(tag, counted=False)
            self._forget(tag)
            self._snoozed.popleft()

    def release(self) -> None:
        """Release everything: what is delivered and not done, and after it what is not delivered."""
        self.release_undelivered()
        self._release(self._remove_delivered(), delivered=True)

    def release_undelivered(self, queue: str | None = None) -> None:
        """Release what is not delivered yet, of this queue or of all."""
        self._release(self.undelivered.remove(queue), delivered=False)

    def close(self) -> None:
        """Release everything and stop renewing. If Redis is away, the next channel of this process releases it."""
        self.renewal.stop()
        try:
            self.send_last_acks()
            self.release()
        except (*self.channel.connection_errors, ResponseError) as error:
            logger.warning("%s: claimed messages are released on the next connection", type(error).__name__)
            self._release_later(self.undelivered.remove(), delivered=False)
            self._release_later(self._remove_delivered(), delivered=True)

    def abandon(self) -> None:
        """Forget everything and stop renewing without a word to Redis, as if the process were killed. For tests."""
        self.renewal.stop()
        self.undelivered.remove()
        self._remove_delivered()

    def restore_unacked(self, client: Any = None) -> None:
        """See kombu."""
        self.release()

    def restore_visible(self, start: int = 0, num: int | None = None, interval: int = 10) -> None:
        """See kombu: restore expired messages at every `interval`th call."""
        self._vrestore_count += 1
        if (self._vrestore_count - 1) % (interval or 1) == 0:
            self.restore_expired()

    def restore_expired(self) -> None:
        """Put back the messages of workers that are gone."""
        total = 0
        with ScriptConnection.borrow(self._pool) as connection:
            self._send_releases(connection)  # otherwise they would count as failed deliveries
            if not self.channel.knows_store():
                return
            while restored := self.scripts.restore(connection, RESTORE_LIMIT):
                total += restored
        if total:
            logger.warning("restored %d messages whose workers are gone", total)

    def _requeue(self, tag: str, *, counted: bool) -> None:
        self._settle([tag], lambda connection: self.scripts.requeue(connection, [tag], counted=counted))

    def _release(self, tags: Sequence[str], *, delivered: bool) -> None:
        try:
            self._settle(tags, lambda connection: self.scripts.release(connection, tags, delivered=delivered))
        except BaseException:
            self._release_later(tags, delivered=delivered)
            raise

    def _release_later(self, tags: Sequence[str], *, delivered: bool) -> None:
        if tags:
            self._pending.releases.append(PendingRelease(tags, delivered, self.leases.held_at))

    def _send_releases(self, connection: ScriptConnection) -> None:
        while self._pending.releases:
            release = self._pending.releases.popleft()
            try:
                self.send_acks(connection)  # what is done by now must not go back
                self.scripts.release(connection, release.tags, delivered=release.delivered, held_at=release.held_at)
            except BaseException:
                self._pending.releases.appendleft(release)
                raise

    def _remove_delivered(self) -> list[str]:
        """Forget what is delivered and not done; return the tags, in order of delivery."""
        tags = list(self._delivered)
        self._snoozed.clear()
        self._delivered.clear()
        return tags

    def _forget(self, tag: str) -> None:
        # at once, from any thread: one step of a dict is atomic. kombu's keeps a set of what the loop's thread removes
        self._delivered.pop(tag, None)

    def _settle(self, tags: Sequence[str], settle: Callable[[ScriptConnection], None]) -> None:
        """Run a script that settles these messages. If Redis is away, they come back when their leases expire."""
        try:
            if tags:
                with ScriptConnection.borrow(self._pool) as connection:
                    settle(connection)
        finally:
            self.leases.drop(tags)


def _broker_of(channel: Any) -> tuple[object, ...]:
    client = channel.connection.client
    return client.hostname, client.port, client.virtual_host, channel.global_keyprefix + channel.unacked_key
