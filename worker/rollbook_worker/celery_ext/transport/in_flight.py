"""What one channel holds, and what it says became of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from redis.connection import ConnectionPool

from rollbook_worker.celery_ext.transport.leases import Leases, Renew, Renewal
from rollbook_worker.celery_ext.transport.pending_acks import Acks, acks_of
from rollbook_worker.celery_ext.transport.pending_releases import GiveBacks, give_backs_of
from rollbook_worker.celery_ext.transport.script_connection import Line
from rollbook_worker.celery_ext.transport.unacked import Claim, Left, Names, Renewed, Unacked

logger = logging.getLogger(__name__)

RESTORED_AT_ONCE: Final = 500
"""Messages put back in one step: about 10 ms of Redis' time."""


class Holding:
    """Claims messages and settles them, and keeps the leases of those that are claimed and not settled.

    Claiming and `send_acks` are for the thread of the event loop, on its line; the rest is for any thread.
    """

    def __init__(
        self,
        unacked: Unacked,
        acks: Acks,
        give_backs: GiveBacks,
        pool: ConnectionPool,
        *,
        lease: float,
        longest_hold: float,
    ) -> None:
        self._unacked = unacked
        self._pool = pool
        self._leases = Leases(longest_hold)
        self._renewal = Renewal(self._leases, _renewing(unacked, pool), lease)
        self._give_backs = give_backs
        self.acks = acks

    def claim(self, line: Line, queues: Sequence[str], *, room: int, alone: bool) -> tuple[Left, list[Claim]]:
        """Send acknowledgements and claim, in one step. See `Unacked.claim`. What a channel before this one could not
        give back goes first.
        """
        self._give_back_late(line)
        acks = self.acks.take()
        try:
            left, at, claims = self._unacked.claim(line, queues, room=room, alone=alone, acks=acks)
        except BaseException:
            self.acks.unsent(acks)
            raise
        self._leases.drop(acks)
        self._leases.add({claim.tag: len(claim.raw) for claim in claims}, at=at)
        if claims:
            self._renewal.start()
        return left, claims

    @property
    def bytes(self) -> int:
        """Of all messages that are held."""
        return self._leases.bytes

    def send_acks(self, line: Line) -> None:
        """Send the acknowledgements that wait. If that fails they go on waiting."""
        while tags := self.acks.take():
            try:
                self._unacked.acknowledge(line, tags)
            except BaseException:
                self.acks.unsent(tags)
                raise
            self._leases.drop(tags)

    def send_last_acks(self) -> None:
        """The same on a line that has not been used before: the one in use may be why the channel ends."""
        if self.acks:
            with Line.of(self._pool) as line:
                self.send_acks(line)

    def keep(self, tags: Iterable[str]) -> None:
        """Hold these for `longest_hold` from now: they do not hang, they wait."""
        self._leases.keep(tags)

    def requeue(self, tag: str, *, counted: bool) -> None:
        """Let others try."""
        self._settle([tag], lambda line: self._unacked.requeue(line, [tag], counted=counted))

    def bury(self, tag: str, code: str) -> None:
        """Give a message up."""
        self._settle([tag], lambda line: self._unacked.bury(line, [tag], code))

    def give_back(self, tags: Sequence[str], *, seen: bool) -> None:
        """See `Unacked.give_back`. If Redis cannot be told now, the next channel tells it."""
        try:
            self._settle(tags, lambda line: self._unacked.give_back(line, tags, seen=seen))
        except BaseException:
            self.give_back_later(tags, seen=seen)
            raise

    def give_back_later(self, tags: Sequence[str], *, seen: bool) -> None:
        """The same, by the next channel of this process."""
        self._give_backs.add(tags, seen=seen, held_at=self._leases.held_at)

    def _give_back_late(self, line: Line) -> None:
        while late := self._give_backs.take():
            try:
                self.send_acks(line)  # what is done by now is not to go back
                self._unacked.give_back(line, late.tags, seen=late.seen, held_at=late.held_at)
            except BaseException:
                self._give_backs.unsent(late)
                raise

    def restore(self) -> None:
        """Put back what workers held that are gone."""
        total = 0
        with Line.of(self._pool) as line:
            self._give_back_late(line)  # our own hold none that came to nothing
            while restored := self._unacked.restore(line, RESTORED_AT_ONCE):
                total += restored
        if total:
            logger.warning("%d messages are back that were held by workers that are gone", total)

    def end(self) -> None:
        """Renew no lease any more."""
        self._renewal.stop()

    def _settle(self, tags: Sequence[str], settle: Callable[[Line], None]) -> None:
        """Tell Redis what becomes of messages; if it cannot be told, they come back when their leases end."""
        try:
            if tags:
                with Line.of(self._pool) as line:
                    settle(line)
        finally:
            self._leases.drop(tags)


def holding_of(channel: Any) -> Holding:
    """What a new channel holds: nothing yet, with its options."""
    names = Names(
        prefix=channel.global_keyprefix,
        unacked=channel.unacked_key,
        index=channel.unacked_index_key,
        dead=channel.dead_key,
        separator=channel.sep,
        steps=tuple(channel.priority_steps),
    )
    unacked = Unacked(
        names,
        lease=channel.lease,
        visibility_timeout=channel.visibility_timeout,
        max_deliveries=channel.max_deliveries,
        claim_bytes=channel.claim_bytes,
        dead_task=channel.dead_task,
    )
    broker = channel.connection.client
    key = (broker.hostname, broker.port, broker.virtual_host, names.key(names.unacked))
    return Holding(
        unacked, acks_of(key), give_backs_of(key), channel.pool, lease=channel.lease, longest_hold=channel.longest_hold
    )


def _renewing(unacked: Unacked, pool: ConnectionPool) -> Renew:
    """What the thread does that renews leases. It must not know the channel, which it would keep from ending."""

    def renew(tags: Sequence[str]) -> Renewed:
        with Line.of(pool) as line:
            return unacked.renew(line, tags)

    return renew
