"""Leases: who holds a message says so again and again, so that one who says nothing for a while may be taken for gone.

A thread of its own does it, because a worker of the solo pool is deaf while a task runs. It dies with the process, and
sleeps when that is stopped (SIGSTOP), so neither keeps messages from others. It does not know whether a task makes
progress: one that hangs in a process that lives keeps its message for `longest_hold` seconds, and no longer.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from time import monotonic
from typing import Final

from redis.exceptions import RedisError

from rollbook_worker.celery_ext.transport.unacked import Renewed

logger = logging.getLogger(__name__)

RENEWALS: Final = 3
"""Renewals in the time of a lease: two may fail before it ends."""

Renew = Callable[[Sequence[str]], Renewed]
"""Renews the leases of these tags, on a connection that no other thread uses."""


class Leases:
    """The messages that one channel holds, from the claim until Redis has heard what became of them. For any thread."""

    def __init__(self, longest_hold: float) -> None:
        self._longest_hold = longest_hold
        self._since: dict[str, float] = {}
        self._sizes: dict[str, int] = {}
        # Celery cancels queues from the handler of a signal, which may interrupt the loop's thread while it is in here
        self._lock = threading.RLock()
        self.bytes = 0
        """Of all messages together."""
        self.held_at = 0.0
        """When Redis last said, by its own clock, that these are ours."""

    def add(self, sizes: Mapping[str, int], *, at: float) -> None:
        """Hold these tags from now, which is `at` for Redis; by each stands how many bytes its message has."""
        now = monotonic()
        with self._lock:
            self.held_at = max(self.held_at, at)
            for tag, size in sizes.items():  # one may be held already, if its lease had ended
                self.bytes += size - self._sizes.get(tag, 0)
                self._since[tag], self._sizes[tag] = now, size

    def renewed(self, answer: Renewed) -> None:
        """Redis said so."""
        self.drop(answer.gone)
        with self._lock:
            self.held_at = max(self.held_at, answer.at)

    def keep(self, tags: Iterable[str]) -> None:
        """Count the time of those of these that are held from now again."""
        now = monotonic()
        with self._lock:
            self._since.update((tag, now) for tag in tags if tag in self._since)

    def drop(self, tags: Iterable[str]) -> None:
        with self._lock:
            for tag in tags:
                self._since.pop(tag, None)
                self.bytes -= self._sizes.pop(tag, 0)

    def to_renew(self) -> list[str]:
        oldest = monotonic() - self._longest_hold
        with self._lock:
            return [tag for tag, since in self._since.items() if since >= oldest]


class Renewal:
    """Renews leases in a thread, from `start` to `stop`."""

    def __init__(self, leases: Leases, renew: Renew, lease: float) -> None:
        """`lease`: seconds."""
        self._leases = leases
        self._renew = renew
        self._pause = lease / RENEWALS
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rollbook-leases", daemon=True)

    def start(self) -> None:
        """Begin, if it has not begun."""
        if self._thread.ident is None and not self._stopped.is_set():
            self._thread.start()

    def stop(self) -> None:
        """Renew nothing from now on. Does not wait for an answer that Redis may never give."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(self._pause):
            tags = self._leases.to_renew()
            try:
                if tags:
                    self._leases.renewed(self._renew(tags))
            except (RedisError, OSError) as error:
                logger.warning("leases of %d messages were not renewed (%s)", len(tags), type(error).__name__)
