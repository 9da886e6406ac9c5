"""Sends the jobs that committed transactions wrote to the outbox, again and again until a worker has finished them.

    python -m rollbook_ops.relay

Run one relay or several, which share the work. It has two steps that do not wait for each other. `send` publishes the
unsent jobs and needs Redis. `reconcile` looks up the sent jobs in Rollbook's database, removes those that are finished
and are so still a while later, and marks those as unsent that should be finished by now. After a crash at any point a
job is at worst sent twice, which changes nothing.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from rollbook.publishing.direct import DirectPublisher
from rollbook_ops.relay.finished_jobs import NONE_FINISHED, FinishedJobs
from rollbook_ops.relay.job_key import JobKey
from rollbook_ops.relay.outbox_table import OutboxTable, OutboxTransaction
from rollbook_ops.relay.queue_owner import QueueOwnerCheck
from rollbook_ops.relay.reconciliation import Reconciliation, reconcile
from rollbook_ops.relay.reports import OutboxReports
from rollbook_ops.relay.unsendable_jobs import SendResult, send_individually
from rollbook_shared.backoff import Backoff
from rollbook_shared.errors import NotConfigured, RollbookError, Unavailable
from rollbook_shared.jobs.celery_task import EncodedJob
from rollbook_shared.observability.daemon import run_daemon
from rollbook_shared.observability.health_file import HealthState
from rollbook_shared.settings import Settings

if TYPE_CHECKING:
    from rollbook_ops.relay.metrics import RelayMetrics

logger = logging.getLogger(__name__)

POLL_SECONDS: Final = 0.1
"""A poll costs a quarter of a millisecond. NOTIFY would cost the application more: it serializes commits."""
FIRST_CHECK: Final = timedelta(seconds=1)
"""When a sent job is first looked up. Most are finished by then."""
HANG_SECONDS: Final = 60.0
"""One round of both steps takes less, even if a server does not respond: every wait has a timeout."""
_BACKOFF: Final = Backoff(first=0.5, longest=15.0)
_UNSENDABLE: Final = Backoff(first=15.0, longest=900.0)
"""Before the relay tries a job again that the broker did not accept: it may have been short of memory."""


class Relay:
    """Moves jobs from the outbox to the broker, and out of the outbox."""

    def __init__(
        self,
        table: OutboxTable,
        publisher: DirectPublisher,
        finished_jobs: FinishedJobs,
        *,
        resend: timedelta,
        keep: timedelta = timedelta(),
        owner_check: QueueOwnerCheck | None = None,
        reports: OutboxReports | None = None,
        metrics: RelayMetrics | None = None,
    ) -> None:
        """Make a relay of its parts.

        resend: how long after a job was sent it is sent again, if it is not finished.
        keep: how long a finished job is kept, and then looked up once more; 0: it is removed at once.
        """
        self._table = table
        self._owner_check = owner_check
        self._reports = reports
        self._publisher = publisher
        self._finished_jobs = finished_jobs
        self._resend = resend
        self._keep = keep
        self._metrics = metrics

    @classmethod
    def from_settings(cls, settings: Settings, metrics: RelayMetrics | None = None) -> Relay:
        """Return the relay that the settings describe. It connects when it is first used.

        Raises:
            NotConfigured: a URL is missing or invalid.
        """
        return cls(
            OutboxTable(settings.need_outbox_url(), settings.schema),
            DirectPublisher(settings.need_broker_url()),
            FinishedJobs(settings.need_database_url(), settings.schema),
            resend=settings.outbox_resend,
            # a status that is forgotten meanwhile would look as if it were lost
            keep=min(settings.outbox_keep, settings.job_retention / 2, settings.dead_letter_retention / 2),
            owner_check=QueueOwnerCheck(settings.need_broker_url(), settings.need_database_url(), settings.schema),
            reports=OutboxReports(settings.need_broker_url()),
            metrics=metrics,
        )

    def send(self) -> int:
        """Publish a batch of at most 500 unsent jobs, and return how many. If it fails, all of them stay unsent.

        A job that the broker does not accept, although it accepts others, is tried again after a backoff that grows.

        Raises:
            Unavailable: the application's database or the broker is not available; some may have been sent.
            NotConfigured: the table `rollbook_outbox` is missing, or the queues belong to another database.
        """
        with self._table.transaction() as outbox:
            if jobs := outbox.claim_unsent():
                if self._owner_check:
                    self._owner_check.check()
                # Published before the commit: a relay that dies in between sends them twice, not never.
                result = self._publish(jobs)
                outbox.mark_sent(result.sent, first_check=FIRST_CHECK)
                if result.unsendable:
                    outbox.mark_unsendable(result.unsendable, _UNSENDABLE)
        if jobs:
            self._count("sent", len(result.sent))
            self._count("unsendable", len(result.unsendable))
        return len(jobs)

    def _publish(self, jobs: Mapping[JobKey, EncodedJob]) -> SendResult:
        try:
            self._publisher.publish_many(list(jobs.values()))
        except Unavailable as failure:
            result = send_individually(jobs, self._publisher.publish_encoded, failure)
        else:
            return SendResult(sent=list(jobs))
        for key in result.unsendable:
            logger.warning(
                "relay: the broker does not accept job %s of %d characters, and accepts others; trying it again later",
                key.id,
                len(jobs[key].body),
                extra={"job_id": key.id},
            )
        return result

    def reconcile(self) -> int:
        """Look up a batch of at most 500 sent jobs, and return how many.

        Keeps finished jobs for a while, looks them up once more, and then removes them from the outbox. The next `send`
        sends those again that should be finished by now, and those that were finished and are not any more.

        Raises:
            Unavailable: one of the two databases is not available.
            NotConfigured: the table `rollbook_outbox` is missing, or Rollbook's tables are.
        """
        with self._table.transaction() as outbox:
            sent = outbox.claim_sent()
            found = self._finished_jobs.among(sent, outbox.read_bodies) if sent else NONE_FINISHED
            result = reconcile(sent, found, keeps=self._keep > timedelta())
            if result.keep:
                outbox.keep(result.keep, keep=self._keep)
            if result.remove:
                outbox.remove(result.remove)
            if result.lost:
                outbox.send_again(result.lost)
            resent = self._reschedule(outbox, result.unfinished)
        self._report(
            result, resent, finished=sum(not job.is_finished for job in sent.values()) - len(result.unfinished)
        )
        return len(sent)

    def _reschedule(self, outbox: OutboxTransaction, unfinished: list[JobKey]) -> int:
        return outbox.reschedule(unfinished, first_check=FIRST_CHECK, resend=self._resend) if unfinished else 0

    def _report(self, result: Reconciliation, resent: int, *, finished: int) -> None:
        self._count("finished", finished)
        self._count("resend", resent + len(result.lost))
        if resent:
            logger.info("relay: %d jobs are not finished yet; sending them again", resent, extra={"jobs": resent})
        if lost := len(result.lost):
            text = "relay: %d finished jobs are gone from Rollbook's database, as after a failover; sending them again"
            logger.warning(text, lost, extra={"jobs": lost})

    def _count(self, event: str, jobs: int) -> None:
        if self._metrics:
            self._metrics.count_jobs(event, jobs)

    def report(self) -> None:
        """Report in Redis, every few seconds, how much waits in the outbox; where that fails, the steps say why."""
        if self._reports is not None:
            with suppress(RollbookError):
                self._reports.report(self._table.count)

    def close(self) -> None:
        """Close all connections."""
        self._table.close()
        self._publisher.close()
        self._finished_jobs.close()


class _RelayStep:
    """A step of the relay, with the delay after its own failures."""

    def __init__(self, name: str, work: Callable[[], int], metrics: RelayMetrics | None) -> None:
        self._name = name
        self._work = work
        self._metrics = metrics
        self._failures = 0
        self._retry_at = 0.0
        self._logged = ""

    @property
    def works(self) -> bool:
        """Whether the last run succeeded."""
        return not self._failures

    def run(self) -> bool:
        """Handle a batch, unless a failure delays the next run; return whether there may be more to do."""
        if time.monotonic() < self._retry_at:
            return False
        try:
            done = self._work()
        except (Unavailable, NotConfigured) as error:
            self._failed(str(error))
            return False
        if self._failures:
            logger.info("relay: %s works again", self._name, extra={"step": self._name})
            self._failures, self._logged = 0, ""
        return done > 0

    def _failed(self, problem: str) -> None:
        self._retry_at = time.monotonic() + _BACKOFF.delay(self._failures)
        self._failures += 1
        if self._metrics:
            self._metrics.count_failure(self._name)
        if problem != self._logged:
            logger.warning("relay: %s: %s; trying again", self._name, problem, extra={"step": self._name})
            self._logged = problem


class RelayLoop:
    """Runs the relay's two steps in turn. Another thread may read its state."""

    def __init__(self, relay: Relay, metrics: RelayMetrics | None = None) -> None:
        self._relay = relay
        self._steps = (_RelayStep("send", relay.send, metrics), _RelayStep("reconcile", relay.reconcile, metrics))
        self._last_round = time.monotonic()

    def run(self, stopped: threading.Event) -> None:
        """Run until `stopped` is set, also while Redis or a database is not available."""
        while not stopped.is_set():
            more = [step.run() for step in self._steps]
            self._relay.report()
            self._last_round = time.monotonic()
            if not any(more):
                stopped.wait(POLL_SECONDS)

    def state(self) -> HealthState | None:
        """Return the health of the relay: it waits while a server is not available; None means that it hangs."""
        if time.monotonic() - self._last_round > HANG_SECONDS:
            return None
        return HealthState.READY if all(step.works for step in self._steps) else HealthState.WAITING

    def close(self) -> None:
        """Close all connections."""
        self._relay.close()


def main() -> int:
    """Run the relay that the environment configures until SIGTERM or Ctrl-C; it completes the current batch."""
    return run_daemon("relay", _relay_loop)


def _relay_loop(settings: Settings, with_metrics: bool) -> RelayLoop:
    metrics = None
    if with_metrics:
        from rollbook_ops.relay.metrics import register_relay_metrics

        metrics = register_relay_metrics(settings.need_outbox_url())
    return RelayLoop(Relay.from_settings(settings, metrics), metrics)


if __name__ == "__main__":
    sys.exit(main())
