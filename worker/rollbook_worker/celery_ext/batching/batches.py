"""Batches on their way through the pool, and what becomes of each job afterwards.

Celery calls back from wherever the pool happens to be: its threads, the loop, or within `apply_async`. Here all of it
is handed to the loop's thread first. So the line needs no locks, acknowledgements go out at once instead of at the
loop's next turn (there is none after a warm shutdown), and one wake-up serves all that happened since.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from celery.bootsteps import RUN
from celery.utils.log import get_logger
from celery.worker import state
from kombu.utils.uuid import uuid

from rollbook_shared.jobs.routing import TASK_PREFIX
from rollbook_worker.celery_ext.batching.events import GroupedEvents
from rollbook_worker.celery_ext.batching.execution import Ended, Jobs, execute
from rollbook_worker.celery_ext.batching.scheduler import Gatherer, Waiting
from rollbook_worker.celery_ext.batching.watchdog import Untaken
from rollbook_worker.celery_ext.request import DeadLetter

logger = get_logger(__name__)


class Batches:
    """Applies waiting jobs in batches, through one consumer's pool, for as long as its connection lasts.

    When the connection is replaced, the line is dropped, for the broker delivers it again; batches that run are brought
    to their end.
    """

    def __init__(self, consumer: Any, task_name: str, *, most_jobs: int, linger: float = 0.0) -> None:
        self._consumer = consumer
        self._generation: int = consumer.restart_count
        self._task = consumer.app.tasks[task_name]
        self._linger = linger
        self._due = False
        self._news: deque[Callable[[], None]] = deque()
        self._events = _grouped_events(consumer)
        self._untaken = Untaken(
            consumer.pool,
            later=lambda seconds, call: consumer.timer.call_after(seconds, call),
            is_over=lambda: consumer.restart_count != self._generation,
        )
        self._line = Gatherer(
            slots=consumer.pool.num_processes,
            most_jobs=most_jobs,
            submit=self._submit,
            ordinarily=lambda job: consumer.on_task_request(job.request),
            later=lambda seconds, call: consumer.timer.call_after(seconds, call),
            full=self._stop_taking,
        )

    @property
    def generation(self) -> int:
        """Which of the consumer's connections this is for."""
        return self._generation

    def add(self, job: Waiting) -> None:
        """Apply the job, with those that wait with it; acknowledge it when it is decided."""
        self._line.add(job)
        if not self._due and self._line.has_room:
            self._due = True
            # not at once: what came in the same read goes along
            if self._linger:
                self._consumer.timer.call_after(self._linger, self._turn)
            else:
                self._consumer.hub.call_soon(self._turn)

    def _turn(self) -> None:
        self._due = False
        while self._news:
            self._news.popleft()()
        if self._consumer.restart_count != self._generation:
            self._line.clear()
        elif self._is_running:
            self._line.turn()
        elif self._events:
            self._events.flush()

    @property
    def _is_running(self) -> bool:
        return bool(self._consumer.blueprint.state == RUN)

    def _tell(self, news: Callable[[], None]) -> None:
        self._news.append(news)
        self._consumer.hub.call_soon(self._turn)

    def _submit(self, jobs: list[Waiting]) -> None:
        if given_up := [job for job in jobs if job.request.revoked()]:
            jobs = [job for job in jobs if job not in given_up]
            self._line.dropped(given_up)
        if not jobs:
            self._line.ended()
            return
        apply = partial(
            self._consumer.pool.apply_async,
            execute,
            (self._task.name, batch_id := uuid(), _together(jobs), self._consumer.hostname),
            accept_callback=lambda pid, when: self._tell(partial(self._accepted, batch_id, jobs, pid, when)),
            callback=lambda ended: self._tell(partial(self._ended, batch_id, jobs, ended)),
            error_callback=lambda *_: self._tell(partial(self._ended, batch_id, jobs, None)),
            soft_timeout=self._task.soft_time_limit,
            timeout=self._task.time_limit,
            correlation_id=batch_id,
        )
        self._untaken.submitted(batch_id)
        if self._consumer.pool.uses_semaphore:
            self._consumer.controller._quick_acquire(apply)
        else:
            apply()

    def _accepted(self, batch_id: str, jobs: Sequence[Waiting], pid: int, when: float) -> None:
        self._untaken.taken(batch_id)
        for job in jobs:
            job.request.on_accepted(pid, when)

    def _ended(self, batch_id: str, jobs: list[Waiting], ended: object) -> None:
        self._untaken.taken(batch_id)
        self._line.ended()
        if not isinstance(ended, Ended):
            self._failed(batch_id, jobs)
            return
        decided, held = jobs[: len(ended.said)], jobs[len(ended.said) :]
        for job, said in zip(decided, ended.said, strict=True):
            self._finish(job.request, said)
        if decided:
            self._line.decided(decided)
        if held and ended.unavailable is not None:
            self._hold(batch_id, held, ended.unavailable, too_long=ended.too_long)
        elif held:
            for job in held:
                _waits_again(job.request)
            self._line.put_back(held)

    def _finish(self, request: Any, said: str | DeadLetter) -> None:
        state.task_ready(request)
        if not request.acknowledged:
            request.message.ack_log_error(logger, self._consumer.connection_errors)
            request.acknowledged = True
        if not request._already_revoked:
            runtime = time.time() - (request.time_start or 0)
            if isinstance(said, DeadLetter):
                request.send_event("task-failed", exception=repr(said), traceback=None, runtime=runtime)
            else:
                request.send_event("task-succeeded", result=repr(said), runtime=runtime)
        if logger.isEnabledFor(logging.DEBUG):
            kind = request.name.removeprefix(TASK_PREFIX)
            named = {"job_id": request.id, "kind": kind, "outcome": str(said)}
            logger.debug("%s[%s]: %s", request.name, request.id, said, extra=named)

    def _hold(self, batch_id: str, jobs: Sequence[Waiting], reason: str, *, too_long: bool) -> None:
        seconds = self._line.unavailable(jobs, too_long=too_long)
        named = {"batch_id": batch_id, "jobs": len(jobs)}
        logger.warning("%d jobs: %s; trying again in %.1f s", len(jobs), reason, seconds, extra=named)
        for job in jobs:
            _waits_again(job.request)
            job.put_off += 1
            job.request.send_event(
                "task-retried", exception=f"Unavailable({reason!r})", traceback=None, retries=job.put_off
            )
        self._keep()

    def _keep(self) -> None:
        """Our transport takes a job that is held for long for one that hangs, and after some such deliveries for one
        that kills its workers: without a word an outage of an hour would make dead letters of those that wait here.
        """
        tags: dict[Any, list[str]] = {}
        for job in self._line:
            tags.setdefault(job.request.message.channel, []).append(job.request.message.delivery_tag)
        for channel, its_tags in tags.items():
            if keep := getattr(channel, "keep", None):  # the stock transport renews nothing
                keep(its_tags)

    def _failed(self, batch_id: str, jobs: list[Waiting]) -> None:
        """Each by Celery's ordinary way: its limits, its retries, its states. If the pool lost a process, the job that
        it died of dies alone.
        """
        if self._consumer.restart_count != self._generation or not self._is_running:
            return  # they are not acknowledged: the broker has them for others
        named = {"batch_id": batch_id, "jobs": len(jobs)}
        logger.warning("a batch of %d jobs failed; each is tried by itself", len(jobs), extra=named)
        for job in jobs:
            _waits_again(job.request)
        self._line.failed([job for job in jobs if not job.request.acknowledged])

    def _stop_taking(self, full: bool) -> None:
        # Celery's own way of changing how much is taken, made for jobs with an ETA
        qos, number = self._consumer.qos, self._consumer.initial_prefetch_count - 1
        (qos.decrement_eventually if full else qos.increment_eventually)(number)


def _together(jobs: Sequence[Waiting]) -> Jobs:
    return Jobs([job.message for job in jobs], [job.sent for job in jobs])


def _waits_again(request: Any) -> None:
    state.active_requests.discard(request)
    request.time_start = request.worker_pid = None


def _grouped_events(consumer: Any) -> GroupedEvents | None:
    dispatcher = consumer.event_dispatcher
    return GroupedEvents(dispatcher, consumer.hub, consumer.timer) if dispatcher else None
