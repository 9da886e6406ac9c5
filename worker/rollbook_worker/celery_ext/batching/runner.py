"""Runs batches in the worker's pool, and settles each job afterwards.

Celery calls back from wherever the pool happens to be: from its threads, from the loop, or from within `apply_async`.
Here each callback becomes an event that the loop's thread handles. So the scheduler needs no locks, acknowledgements go
out at once instead of at the loop's next turn (there is none after a warm shutdown), and one wake-up serves all events
since the last.

That a batch has begun wakes the loop only if the batch does not end soon: the loop's thread would take the interpreter
from the batch just when it sends its first statement to Postgres. And Celery's registers of jobs, which
`celery inspect` shows, get only those that are here for longer.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, Final

from celery.bootsteps import RUN
from celery.utils.log import get_logger
from celery.worker import state
from kombu.utils.uuid import uuid

from rollbook_shared.job_states import JobState
from rollbook_shared.jobs.celery_task import TASK_PREFIX
from rollbook_worker.celery_ext.batching.batch import Batch, BatchResult, execute
from rollbook_worker.celery_ext.batching.scheduler import (
    BatchOutcome,
    BatchScheduler,
    PendingJob,
    ResumeAfter,
    RunIndividually,
    SubmitBatch,
)
from rollbook_worker.celery_ext.batching.watchdog import StuckProcessWatchdog
from rollbook_worker.celery_ext.job_failures import JobFailed
from rollbook_worker.celery_ext.task_events import applied_fields

logger = get_logger(__name__)

SHOW_AFTER_SECONDS: Final = 0.05
"""Until monitoring may see that a batch has begun; after as long again `celery inspect` shows its jobs, and those that
wait. Most have ended by then."""


@dataclass(frozen=True, slots=True)
class BatchAccepted:
    """A process or a thread of the pool has begun with a batch."""

    batch_id: str
    jobs: list[PendingJob]
    pid: int
    at: float


@dataclass(frozen=True, slots=True)
class BatchEnded:
    """A batch has ended; `result` is a `BatchResult`, or something else if it failed."""

    batch_id: str
    jobs: list[PendingJob]
    result: object


@dataclass(slots=True)
class RunningBatch:
    """A batch that is known to have begun: in which process, and when, in seconds since 1970."""

    jobs: list[PendingJob]
    pid: int
    started: float
    waited: bool = False
    """It ran already when running batches were last looked at."""
    is_shown: bool = False

    def show(self) -> None:
        """Let `celery inspect` show its jobs as active."""
        self.is_shown = True
        for job in self.jobs:
            job.request.begin(self.pid, self.started)


class BatchRunner:
    """Applies pending jobs in batches, through one consumer's pool, for as long as its connection lasts.

    When the connection is replaced, the pending jobs are dropped, for the broker delivers them again. Batches that run
    are brought to their end.
    """

    def __init__(self, consumer: Any, task_name: str, *, max_jobs: int, linger: float = 0.0) -> None:
        self._consumer = consumer
        self._generation: int = consumer.restart_count
        self._task = consumer.app.tasks[task_name]
        self._linger = linger
        self._turn_is_scheduled = False
        self._happened: deque[BatchAccepted | BatchEnded] = deque()
        self._not_begun: dict[str, list[PendingJob]] = {}
        """Batches in the pool of which it is not known that they have begun."""
        self._begun: dict[str, RunningBatch] = {}
        self._look_is_scheduled = False
        self._scheduler = BatchScheduler(slots=consumer.pool.num_processes, max_jobs=max_jobs)
        self._is_prefetch_reduced = False
        if dispatcher := consumer.event_dispatcher:
            dispatcher.send_in_groups(consumer.hub, consumer.timer)
        self._watchdog = StuckProcessWatchdog.of(consumer)

    @property
    def generation(self) -> int:
        """Which of the consumer's connections this runner serves."""
        return self._generation

    def add(self, job: PendingJob) -> None:
        """Apply the job, together with others that are pending; acknowledge it when it is finished."""
        self._scheduler.add(job)
        self._look_soon()
        self._adjust_prefetch()
        if not self._turn_is_scheduled and self._scheduler.has_free_slot:
            self._turn_is_scheduled = True
            # not at once: what came in the same read joins the batch
            if self._linger:
                self._consumer.timer.call_after(self._linger, self._turn)
            else:
                self._consumer.hub.call_soon(self._turn)

    def _turn(self) -> None:
        """Handle what has happened, then do what the scheduler decides."""
        self._turn_is_scheduled = False
        while self._happened:
            self._handle(self._happened.popleft())
        if self._consumer.restart_count != self._generation:
            self._scheduler.clear()
        elif self._is_running:
            self._follow_decisions()
        elif dispatcher := self._consumer.event_dispatcher:
            dispatcher.flush()
        self._adjust_prefetch()

    @property
    def _is_running(self) -> bool:
        return bool(self._consumer.blueprint.state == RUN)

    def _follow_decisions(self) -> None:
        for decision in self._scheduler.decisions():
            match decision:
                case SubmitBatch(jobs=jobs):
                    self._submit(jobs)
                case RunIndividually(job=job):
                    job.request.reserve()
                    self._consumer.on_task_request(job.request)
                case ResumeAfter(seconds=seconds):
                    self._consumer.timer.call_after(seconds, self._resume)

    def _resume(self) -> None:
        self._scheduler.resume()
        self._turn()

    def _submit(self, jobs: list[PendingJob]) -> None:
        if revoked := [job for job in jobs if job.request.is_revoked()]:
            jobs = [job for job in jobs if job not in revoked]
            self._scheduler.drop(revoked)
        if not jobs:
            self._scheduler.finish(BatchOutcome())
            return
        batch = Batch([job.message for job in jobs], [job.trace for job in jobs])
        apply = partial(
            self._consumer.pool.apply_async,
            execute,
            (self._task.name, batch_id := uuid(), batch, self._consumer.hostname),
            accept_callback=lambda pid, at: self._happened.append(BatchAccepted(batch_id, jobs, pid, at)),
            callback=lambda result: self._notify(BatchEnded(batch_id, jobs, result)),
            error_callback=lambda *_: self._notify(BatchEnded(batch_id, jobs, None)),
            soft_timeout=self._task.soft_time_limit,
            timeout=self._task.time_limit,
            correlation_id=batch_id,
        )
        if self._watchdog:
            self._watchdog.submitted(batch_id)
        self._not_begun[batch_id] = jobs
        self._look_soon()
        if self._consumer.pool.uses_semaphore:
            self._consumer.controller._quick_acquire(apply)
        else:
            apply()

    def _look_soon(self) -> None:
        """Look a little later for what monitoring is to be shown."""
        if not self._look_is_scheduled:
            self._look_is_scheduled = True
            self._consumer.timer.call_after(SHOW_AFTER_SECONDS, self._look)

    def _look(self) -> None:
        """Show the jobs that have been here since the last look."""
        self._look_is_scheduled = False
        self._turn()
        if self._consumer.restart_count != self._generation:
            return  # of batches that ran when the connection was lost Celery may report nothing
        waiting = [*self._scheduler, *chain.from_iterable(self._not_begun.values())]
        for job in waiting:
            if not job.request.is_shown and job.waited:
                job.request.reserve()
            job.waited = True
        for batch in self._begun.values():
            if not batch.is_shown and batch.waited:
                batch.show()
            batch.waited = True
        shown = [job.request.is_shown for job in waiting] + [batch.is_shown for batch in self._begun.values()]
        if self._not_begun or not all(shown):
            self._look_soon()

    def _notify(self, event: BatchEnded) -> None:
        """Have the loop's thread handle the event, and those before it. From any thread."""
        self._happened.append(event)
        self._consumer.hub.call_soon(self._turn)

    def _handle(self, event: BatchAccepted | BatchEnded) -> None:
        self._not_begun.pop(event.batch_id, None)
        if self._watchdog:
            self._watchdog.accepted(event.batch_id)
        match event:
            case BatchAccepted():
                self._begin(event)
            case BatchEnded(result=BatchResult() as result):
                self._settle(event, result)
            case BatchEnded():
                self._fail(event)

    def _begin(self, event: BatchAccepted) -> None:
        jobs = event.jobs
        self._begun[event.batch_id] = RunningBatch(jobs, event.pid, time.time() - (time.monotonic() - event.at))
        state.total_count.update(job.request.name for job in jobs)
        state.all_total_count[0] += len(jobs)
        if (dispatcher := self._consumer.event_dispatcher) and not dispatcher.skips_tasks:
            dispatcher.send_all("task-started", [{"uuid": job.request.id} for job in jobs])

    def _settle(self, event: BatchEnded, result: BatchResult) -> None:
        number = len(result.outcomes)
        finished, rest = event.jobs[:number], event.jobs[number:]
        now = time.time()
        started = batch.started if (batch := self._begun.pop(event.batch_id, None)) else now
        dispatcher = self._consumer.event_dispatcher
        shows_applied = dispatcher and not dispatcher.skips_tasks
        applied: list[dict[str, Any]] = []
        for job, reported in zip(finished, result.outcomes, strict=True):
            request = job.request
            request.end()
            request.settle(self._consumer.connection_errors)
            if reported != JobState.APPLIED:
                request.time_start = started
                if not request._already_revoked:
                    request.send_end(reported, now - started)
            elif shows_applied and not request._already_revoked:
                applied.append(applied_fields(request.id, now - started))
        if logger.isEnabledFor(logging.DEBUG):
            _log_outcomes(finished, result.outcomes)
        if applied:
            dispatcher.send_all("task-succeeded", applied)
        for job in rest:
            _mark_pending(job.request)
        if result.unavailable is None:
            self._scheduler.finish(BatchOutcome(finished=finished, unfinished=rest))
            return
        outcome = BatchOutcome(finished=finished, unavailable=rest, timed_out=result.timed_out)
        if (seconds := self._scheduler.finish(outcome)) is not None:
            self._report_unavailable(event.batch_id, rest, result.unavailable, seconds)

    def _report_unavailable(self, batch_id: str, jobs: Sequence[PendingJob], reason: str, seconds: float) -> None:
        fields = {"batch_id": batch_id, "jobs": len(jobs)}
        logger.warning("could not apply %d jobs: %s; retrying in %.1f s", len(jobs), reason, seconds, extra=fields)
        for job in jobs:
            job.retries += 1
            job.request.send_event(
                "task-retried", exception=f"Unavailable({reason!r})", traceback=None, retries=job.retries
            )
        self._extend_leases()

    def _extend_leases(self) -> None:
        """Our transport takes a job that is held for long for one that hangs, and after some such deliveries for one
        that kills its workers: without this, an outage of an hour would make dead letters of pending jobs.
        """
        tags: dict[Any, list[str]] = {}
        for job in self._scheduler:
            tags.setdefault(job.request.message.channel, []).append(job.request.message.delivery_tag)
        for channel, its_tags in tags.items():
            if extend := getattr(channel, "extend_leases", None):  # the stock transport has no leases
                extend(its_tags)

    def _fail(self, event: BatchEnded) -> None:
        """Run each job as a task of its own. If the pool lost a process, the job that killed it will do so alone."""
        self._begun.pop(event.batch_id, None)
        if self._consumer.restart_count != self._generation or not self._is_running:
            self._scheduler.finish(BatchOutcome())
            return  # they are not acknowledged: the broker delivers them to others
        fields = {"batch_id": event.batch_id, "jobs": len(event.jobs)}
        logger.warning("a batch of %d jobs failed; running each job individually", len(event.jobs), extra=fields)
        for job in event.jobs:
            _mark_pending(job.request)
        self._scheduler.finish(BatchOutcome(failed=[job for job in event.jobs if not job.request.acknowledged]))

    def _adjust_prefetch(self) -> None:
        """Take no more from the broker while the scheduler is full."""
        if (is_full := self._scheduler.is_full) == self._is_prefetch_reduced:
            return
        self._is_prefetch_reduced = is_full
        # Celery's own way of changing how much is taken, made for jobs with an ETA
        qos, number = self._consumer.qos, self._consumer.initial_prefetch_count - 1
        (qos.decrement_eventually if is_full else qos.increment_eventually)(number)


def _log_outcomes(jobs: Sequence[PendingJob], outcomes: Sequence[str | JobFailed]) -> None:
    for job, outcome in zip(jobs, outcomes, strict=True):
        name, id_ = job.request.name, job.request.id
        fields = {"job_id": id_, "kind": name.removeprefix(TASK_PREFIX), "outcome": str(outcome)}
        logger.debug("%s[%s]: %s", name, id_, outcome, extra=fields)


def _mark_pending(request: Any) -> None:
    """Show the job as reserved, no longer as active."""
    state.active_requests.discard(request)
    request.time_start = request.worker_pid = None
