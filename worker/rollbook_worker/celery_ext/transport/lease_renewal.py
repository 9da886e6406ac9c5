"""Leases. A worker that holds a message renews its lease regularly, so that one that stops renewing counts as gone.

A thread renews the leases, because a worker with the solo pool does nothing else while a task runs. The thread dies
with the process and stands still when the process is stopped (SIGSTOP), so neither keeps messages from other workers.
It does not know whether a task makes progress: a task that hangs in a process that lives keeps its message for
`max_lease` seconds, and no longer.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping
from time import monotonic
from typing import Final

from redis.connection import ConnectionPool
from redis.exceptions import RedisError

from rollbook_worker.celery_ext.transport.queue_scripts import QueueScripts, Renewed, ScriptConnection

logger = logging.getLogger(__name__)

RENEWALS: Final = 3
"""Renewals in the time of a lease: two may fail before it expires."""


class Leases:
    """The messages that one channel holds, from the claim until Redis knows what became of them. For any thread."""

    def __init__(self, max_lease: float) -> None:
        self._max_lease = max_lease
        self._since: dict[str, float] = {}
        self._sizes: dict[str, int] = {}
        # Celery cancels queues in a signal handler, which may interrupt the loop's thread while it is in here
        self._lock = threading.RLock()
        self.bytes = 0
        """Size of all messages together."""
        self.held_at = 0.0
        """When Redis last confirmed, by its own clock, that these messages are ours."""

    def add(self, sizes: Mapping[str, int], *, at: float) -> None:
        """Hold these tags from now on, which is `at` by Redis' clock. `sizes` has the bytes of each message."""
        now = monotonic()
        with self._lock:
            self.held_at = max(self.held_at, at)
            for tag, size in sizes.items():  # a tag is held already if its lease had expired
                self.bytes += size - self._sizes.get(tag, 0)
                self._since[tag], self._sizes[tag] = now, size

    def renewed(self, answer: Renewed) -> None:
        """Record what Redis answered to a renewal."""
        self.drop(answer.gone)
        with self._lock:
            self.held_at = max(self.held_at, answer.at)

    def extend(self, tags: Iterable[str]) -> None:
        """Let `max_lease` run from now, for those of these tags that are held."""
        now = monotonic()
        with self._lock:
            self._since.update((tag, now) for tag in tags if tag in self._since)

    def drop(self, tags: Iterable[str]) -> None:
        with self._lock:
            for tag in tags:
                self._since.pop(tag, None)
                self.bytes -= self._sizes.pop(tag, 0)

    def to_renew(self) -> list[str]:
        oldest = monotonic() - self._max_lease
        with self._lock:
            return [tag for tag, since in self._since.items() if since >= oldest]


class LeaseRenewal:
    """Renews leases in a thread, from `start` to `stop`.

    It must not refer to the channel: the thread would keep the channel alive.
    """

    def __init__(self, leases: Leases, scripts: QueueScripts, pool: ConnectionPool, lease: float) -> None:
        """`lease`: seconds."""
        self._leases = leases
        self._scripts = scripts
        self._pool = pool
        self._interval = lease / RENEWALS
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rollbook-leases", daemon=True)

    def start(self) -> None:
        """Start the thread, if it has not started."""
        if self._thread.ident is None and not self._stopped.is_set():
            self._thread.start()

    def stop(self) -> None:
        """Stop renewing. Does not wait for an answer that Redis may never give."""
        self._stopped.set()

    def renew(self, tags: list[str]) -> Renewed:
        """Renew these leases now; return Redis' answer."""
        with ScriptConnection.borrow(self._pool) as connection:
            return self._scripts.renew(connection, tags)

    def _run(self) -> None:
        while not self._stopped.wait(self._interval):
            tags = self._leases.to_renew()
            try:
                if tags:
                    self._leases.renewed(self.renew(tags))
            except (RedisError, OSError) as error:
                logger.warning("could not renew the leases of %d messages (%s)", len(tags), type(error).__name__)
