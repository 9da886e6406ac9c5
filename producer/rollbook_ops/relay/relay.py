"""Sends what committed transactions have left in the outbox, and again until Rollbook has finished it.

    python -m rollbook_ops.relay

Run one, or several: they share the work. Two halves, neither of which waits for the other: `send` publishes what is
unsent (Redis must be there), `settle` asks Rollbook's database what became of the jobs that were sent, removes those
that are finished, and puts back those that should have been by now. A crash at any place makes a job be sent twice at
worst, which changes nothing.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from rollbook.publishing.direct import DirectPublisher
from rollbook_ops.relay.finished_jobs import FinishedJobs
from rollbook_ops.relay.rows import Rows, delete, mark_sent, postpone, read_bodies, take_sent, take_unsent
from rollbook_shared.backoff import Backoff
from rollbook_shared.errors import NotConfigured, Unavailable
from rollbook_shared.observability.daemon import run_daemon
from rollbook_shared.observability.health_file import HealthState
from rollbook_shared.settings import Settings

if TYPE_CHECKING:
    from rollbook_ops.relay.metrics import Counting

logger = logging.getLogger(__name__)

POLL_SECONDS: Final = 0.1
"""Asking costs a quarter of a millisecond. NOTIFY would cost the application: it serializes its commits."""
LOOK: Final = timedelta(seconds=1)
"""How long after a job was sent it is first asked after; most are finished by then."""
HANGS_SECONDS: Final = 60.0
"""A turn of both halves ends sooner, whichever server is silent: each wait has a bound."""
_BACKOFF: Final = Backoff(first=0.5, longest=15.0)


class Relay:
    """Moves jobs from the outbox to the broker, and out of the outbox."""

    def __init__(
        self,
        rows: Rows,
        publisher: DirectPublisher,
        finished_jobs: FinishedJobs,
        *,
        resend: timedelta,
        counting: Counting | None = None,
    ) -> None:
        self._rows = rows
        self._publisher = publisher
        self._finished_jobs = finished_jobs
        self._resend = resend
        self._counting = counting

    @classmethod
    def from_settings(cls, settings: Settings, counting: Counting | None = None) -> Relay:
        """The relay that the settings describe; connects when it starts to work.

        Raises:
            NotConfigured: a URL is missing, or cannot be used.
        """
        return cls(
            Rows(settings.need_outbox_url()),
            DirectPublisher(settings.need_broker_url()),
            FinishedJobs(settings.need_database_url()),
            resend=settings.outbox_resend,
            counting=counting,
        )

    def send(self) -> int:
        """Publish a batch of what is unsent, at most 500 jobs; return how many. All of them stay unsent when it fails.

        Raises:
            Unavailable: the application's database or the broker could not be reached; some may have been sent.
            NotConfigured: there is no table `rollbook_outbox`.
        """
        with self._rows.transaction() as cursor:
            if jobs := take_unsent(cursor):
                # published before the commit: who dies in between has sent them twice, not never
                self._publisher.publish_many(list(jobs.values()))
                mark_sent(cursor, jobs, look=LOOK)
        self._count("sent", len(jobs))
        return len(jobs)

    def settle(self) -> int:
        """Ask after a batch of what was sent, at most 500 jobs; return how many it was.

        Those that are finished leave the outbox; those that should be by now are sent again by the next `send`.

        Raises:
            Unavailable: one of the two databases could not be reached.
            NotConfigured: there is no table `rollbook_outbox`, or there are none of Rollbook's.
        """
        with self._rows.transaction() as cursor:
            keys = take_sent(cursor)
            finished = self._finished_jobs.among(keys, partial(read_bodies, cursor)) if keys else set()
            unfinished = [key for key in keys if key not in finished]
            if finished:
                delete(cursor, [key for key in keys if key in finished])
            again = postpone(cursor, unfinished, look=LOOK, resend=self._resend) if unfinished else 0
        self._count("finished", len(keys) - len(unfinished))
        self._count("again", again)
        if again:
            logger.info("relay: %d jobs are not finished yet, sending them again", again, extra={"jobs": again})
        return len(keys)

    def _count(self, event: str, jobs: int) -> None:
        if self._counting:
            self._counting.happened(event, jobs)

    def close(self) -> None:
        """Close all connections."""
        self._rows.close()
        self._publisher.close()
        self._finished_jobs.close()


class _Half:
    """One half of the work, with the pauses after its own failures."""

    def __init__(self, name: str, work: Callable[[], int], counting: Counting | None) -> None:
        self._name = name
        self._work = work
        self._counting = counting
        self._failures = 0
        self._not_before = 0.0
        self._said = ""

    @property
    def works(self) -> bool:
        """Whether its last try was no failure."""
        return not self._failures

    def run(self) -> bool:
        """Do a batch, unless there was a failure just now; say whether more is waiting."""
        if time.monotonic() < self._not_before:
            return False
        try:
            done = self._work()
        except (Unavailable, NotConfigured) as error:
            self._failed(str(error))
            return False
        if self._failures:
            logger.info("relay: %s works again", self._name, extra={"half": self._name})
            self._failures, self._said = 0, ""
        return done > 0

    def _failed(self, problem: str) -> None:
        self._not_before = time.monotonic() + _BACKOFF.delay(self._failures)
        self._failures += 1
        if self._counting:
            self._counting.failed(self._name)
        if problem != self._said:
            logger.warning("relay: %s: %s; trying again", self._name, problem, extra={"half": self._name})
            self._said = problem


class RelayLoop:
    """Runs the relay's two halves in turn. Another thread may ask for its state."""

    def __init__(self, relay: Relay, counting: Counting | None = None) -> None:
        self._relay = relay
        self._halves = (_Half("sending", relay.send, counting), _Half("settling", relay.settle, counting))
        self._turned = time.monotonic()

    def run(self, stopped: threading.Event) -> None:
        """Work until `stopped`. Outlives Redis and either database being away."""
        while not stopped.is_set():
            more = [half.run() for half in self._halves]
            self._turned = time.monotonic()
            if not any(more):
                stopped.wait(POLL_SECONDS)

    def state(self) -> HealthState | None:
        """How the relay is: it waits while a server is away; None: it hangs."""
        if time.monotonic() - self._turned > HANGS_SECONDS:
            return None
        return HealthState.READY if all(half.works for half in self._halves) else HealthState.WAITING

    def close(self) -> None:
        """Close all connections."""
        self._relay.close()


def main() -> int:
    """Relay as the environment says until SIGTERM or Ctrl-C; the batch in hand is finished."""
    return run_daemon("relay", _relay_loop)


def _relay_loop(settings: Settings, with_metrics: bool) -> RelayLoop:
    counting = None
    if with_metrics:
        from rollbook_ops.relay.metrics import count_relay

        counting = count_relay(settings.need_outbox_url())
    return RelayLoop(Relay.from_settings(settings, counting), counting)


if __name__ == "__main__":
    sys.exit(main())
