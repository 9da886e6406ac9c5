"""Publishes whose feeds may have changed. It bounds its time, and no failure of it reaches a job.

What could not be published is made up for: the next payload that Redis takes says that any feed may have changed. A job
does not wait for the answer to its payload, which is read before the next one is sent.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Sequence
from time import monotonic
from typing import Final
from uuid import UUID

from rollbook_shared.errors import Unavailable
from rollbook_shared.feed_changes import CHANNEL, UNKNOWN, encode_changes
from rollbook_shared.jobs.models import Job
from rollbook_worker.feed_changes.changed_users import changed_feeds
from rollbook_worker.pubsub_channel import ANSWER_SECONDS, PubSubChannel

logger: Final = logging.getLogger(__name__)

LISTENERS_SECONDS: Final = 5.0
"""How long the number of listeners is remembered."""

FindRecipients = Callable[[Collection[UUID]], Collection[str]]
"""The recipients of messages; it may raise `Unavailable`."""


class FeedNotifier:
    """Publishes to one channel of the broker's Redis. Threads may share one; a process makes its own."""

    def __init__(
        self, broker_url: str, find_recipients: FindRecipients, *, clock: Callable[[], float] = monotonic
    ) -> None:
        """Prepare to publish; it connects when first needed.

        find_recipients: asked about marks that name no user, and only while a server listens.

        Raises:
            NotConfigured: this is no URL of a Redis.
        """
        self._channel = PubSubChannel(broker_url, CHANNEL, what="whose feeds changed", logger=logger, clock=clock)
        self._find_recipients = find_recipients
        self._clock = clock
        self._lock = threading.Lock()
        self._missed = False
        self._listeners = 0
        self._counted_at: float | None = None
        self._unanswered_since: float | None = None
        """When the payload was sent whose answer is not read yet."""

    def notify(self, jobs: Sequence[Job]) -> None:
        """Publish whose feeds the jobs, which are committed, may have changed. It raises nothing."""
        try:
            changed = changed_feeds(jobs)
            users = set(changed.user_ids)
            if changed.message_ids and self._are_there_listeners():
                try:
                    users.update(self._find_recipients(changed.message_ids))
                except Unavailable:
                    self._missed = True
            if users or self._missed:
                self._publish(users)
        except Exception:  # whatever the error, the jobs are applied
            self._missed = True
            logger.exception("whose feeds changed could not be published")

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._channel.close()

    def _are_there_listeners(self) -> bool:
        # a server may have come since the answer before
        if self._unanswered_since is not None and self._lock.acquire(timeout=ANSWER_SECONDS):
            try:
                self._read_answer()
            finally:
                self._lock.release()
        if self._counted_at is None or self._clock() - self._counted_at > LISTENERS_SECONDS:
            self._publish((), wait=True)
        return self._listeners > 0

    def _publish(self, users: Collection[str], *, wait: bool = False) -> None:
        if not self._lock.acquire(timeout=ANSWER_SECONDS):
            self._missed = True  # the thread that holds it is waiting for Redis
            return
        try:
            self._read_answer()
            # hashing is most of the cost; a server that has come meanwhile reads all of its feeds
            was_without_listeners = self._counted_at is not None and self._listeners == 0
            payload = UNKNOWN if users and was_without_listeners else encode_changes(users)
            was_missed, self._missed = self._missed, False
            if not self._channel.send(UNKNOWN if was_missed else payload):
                self._missed = True
                return
            self._unanswered_since = self._clock()
            if wait:
                self._read_answer()
        finally:
            self._lock.release()

    def _read_answer(self) -> None:
        sent_at, self._unanswered_since = self._unanswered_since, None
        if sent_at is None:
            return
        listeners = self._channel.read_answer()
        if listeners is None:
            self._missed = True
            return
        self._listeners = listeners
        self._counted_at = sent_at
