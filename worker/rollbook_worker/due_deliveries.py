"""Notifies senders, after the commit, for which channels there may be deliveries.

It bounds its time, and no failure of it reaches a job: senders ask the database once a second anyway.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Sequence
from time import monotonic
from typing import Final

from rollbook_shared.due_deliveries import REDIS_CHANNEL, encode_channels
from rollbook_shared.jobs.models import Job, Trigger
from rollbook_shared.registry import Registry
from rollbook_worker.pubsub_channel import ANSWER_SECONDS, PubSubChannel

logger: Final = logging.getLogger(__name__)


def delivered_channels(jobs: Sequence[Job], registry: Registry) -> frozenset[str]:
    """The channels on which these jobs may have made deliveries, by their keys."""
    if not registry.delivers:
        return frozenset()
    pairs = {(job.workflow, name) for job in jobs if type(job) is Trigger for name in job.channels}
    found = (registry.delivered_channel(workflow, name) for workflow, name in pairs)
    return frozenset(channel.key for channel in found if channel is not None)


class DeliveryNotifier:
    """Publishes to one channel of the broker's Redis. Threads may share one; a process makes its own."""

    def __init__(
        self, broker_url: str, registry: Callable[[], Registry], *, clock: Callable[[], float] = monotonic
    ) -> None:
        """Prepare to publish; it connects when first needed.

        Raises:
            NotConfigured: this is no URL of a Redis.
        """
        self._channel = PubSubChannel(broker_url, REDIS_CHANNEL, what="due deliveries", logger=logger, clock=clock)
        self._registry = registry
        self._lock = threading.Lock()

    def notify(self, jobs: Sequence[Job]) -> None:
        """Publish for which channels the jobs, which are committed, may have made deliveries. It raises nothing."""
        try:
            keys = delivered_channels(jobs, self._registry())
        except Exception:
            logger.exception("due deliveries could not be published")
        else:
            self.notify_channels(keys)

    def notify_channels(self, keys: Collection[str]) -> None:
        """Publish that deliveries of these channels, by their keys, may be claimed. It raises nothing."""
        try:
            if keys and self._lock.acquire(timeout=ANSWER_SECONDS):
                try:
                    self._channel.publish(encode_channels(keys))
                finally:
                    self._lock.release()
        except Exception:  # whatever the error, the jobs are applied
            logger.exception("due deliveries could not be published")

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._channel.close()
