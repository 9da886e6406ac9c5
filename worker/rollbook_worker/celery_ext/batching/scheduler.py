"""Decides which pending jobs are applied next, and together with which others. Does nothing itself.

A batch is submitted as soon as a slot is free, and takes all jobs that came since the last one: while one transaction
runs, the next batch fills up. So an idle worker does not wait, and a busy one has full batches, without a delay to
tune. A batch is limited in jobs and in bytes.

When the store is not available, the batch goes back to the head of the queue, and all jobs wait for a pause. Meanwhile
nothing is sent and nothing is acknowledged. What may be pending is limited, so other jobs stay in the broker's queue
for other workers. Then one batch probes the store, half as large as the one that failed, and then half of that, down to
a single job. A job that fails alone goes to the end of the queue as a *poison suspect*: it may be what makes the store
fail. Once the store has answered for another job, the suspect runs individually, as a task of its own that Celery
retries. So an outage of an hour costs one attempt per pause and no message, and no job blocks others for ever.

A redelivered job is submitted in a batch of its own: it may have killed its last worker.

Not thread-safe: all calls come from one thread, the worker's event loop.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rollbook_shared.backoff import Backoff
from rollbook_worker.celery_ext.batching.batch import TraceContext

MAX_BATCH_BYTES: Final = 1024 * 1024
"""Of the messages of one batch; a larger job is a batch of its own."""
MAX_PENDING_BYTES: Final = 64 * 1024 * 1024
"""Of all pending jobs; above it the worker takes no more from the broker."""
MAX_TIMEOUTS: Final = 2
"""Times that the store may take too long over one job alone; then the job runs individually."""
PROBE: Final = Backoff(first=0.5, longest=5.0)
"""Between two probes of a store that is not available: one statement per worker, however many jobs wait."""


@dataclass(slots=True, eq=False)
class PendingJob:
    """A job that waits to be applied: Celery's request, and what its message holds."""

    request: Any
    message: object
    size: int
    trace: TraceContext | None = None
    isolated: bool = False
    """It is applied in a batch of its own."""
    poison_suspect: bool = False
    """The store was not available when the job was applied alone."""
    retries: int = 0
    timeouts: int = 0
    """How often the store took too long over it alone."""
    waited: bool = False
    """It waited already when waiting jobs were last looked at."""


@dataclass(frozen=True, slots=True)
class SubmitBatch:
    """Apply these jobs in one batch; `BatchScheduler.finish` must follow."""

    jobs: list[PendingJob]


@dataclass(frozen=True, slots=True)
class RunIndividually:
    """Run the job as a Celery task of its own, with Celery's limits, retries and states. It is no longer pending."""

    job: PendingJob


@dataclass(frozen=True, slots=True)
class ResumeAfter:
    """Call `BatchScheduler.resume` after so many seconds."""

    seconds: float


Decision = SubmitBatch | RunIndividually | ResumeAfter


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOutcome:
    """What became of the jobs of a submitted batch."""

    finished: Sequence[PendingJob] = ()
    """The store has answered for these."""
    unfinished: Sequence[PendingJob] = ()
    """There was no time for these: they are the next."""
    unavailable: Sequence[PendingJob] = ()
    """The store was not available for these."""
    timed_out: bool = False
    """It was available for them, and took too long."""
    failed: Sequence[PendingJob] = ()
    """The batch failed for a reason that no waiting will remove: each of these runs individually."""


class BatchScheduler:
    """The queue of pending jobs, and how many batches run.

    slots: how many batches may run at once.
    """

    def __init__(
        self,
        *,
        slots: int,
        max_jobs: int,
        max_bytes: int = MAX_BATCH_BYTES,
        max_pending_bytes: int = MAX_PENDING_BYTES,
    ) -> None:
        self._slots = slots
        self._max_jobs = self._jobs = max_jobs
        self._max_bytes = max_bytes
        self._max_pending_bytes = max_pending_bytes
        self._queue: deque[PendingJob] = deque()
        self._individual: deque[PendingJob] = deque()
        self._running = 0
        self._failures = 0
        self._pausing = False
        self._resume_after: float | None = None
        self._bytes = 0
        self.is_full = False
        """Whether the worker should take no more from the broker."""

    def __len__(self) -> int:
        """How many jobs wait."""
        return len(self._queue)

    def __iter__(self) -> Iterator[PendingJob]:
        """The jobs that wait, in order."""
        return iter(self._queue)

    @property
    def has_free_slot(self) -> bool:
        """Whether a batch could be submitted now."""
        return not self._pausing and self._running < (1 if self._failures else self._slots)

    def add(self, job: PendingJob) -> None:
        """Put a job at the end of the queue."""
        self._queue.append(job)
        self._weigh(job.size)

    def decisions(self) -> Iterator[Decision]:
        """What to do now. The caller does each before it takes the next."""
        if self._resume_after is not None:
            seconds, self._resume_after = self._resume_after, None
            yield ResumeAfter(seconds)
        while self._individual:
            yield RunIndividually(self._individual.popleft())
        while self._queue and self.has_free_slot:
            if self._queue[0].poison_suspect and not self._failures:
                self._run_individually(self._queue.popleft())
                yield RunIndividually(self._individual.popleft())
            else:
                self._running += 1
                yield SubmitBatch(self._next_batch())

    def finish(self, outcome: BatchOutcome) -> float | None:
        """A submitted batch has ended, and its slot is free. If the store was not available, return the seconds until
        it is tried again.
        """
        self._running -= 1
        if outcome.finished:
            self._failures = 0
            self._jobs = min(self._max_jobs, self._jobs * 2)
            self.drop(outcome.finished)
        for job in outcome.failed:
            self._run_individually(job)
        self._put_back(outcome.unfinished)
        return self._wait(outcome.unavailable, timed_out=outcome.timed_out) if outcome.unavailable else None

    def drop(self, jobs: Sequence[PendingJob]) -> None:
        """These are no longer pending."""
        self._weigh(-sum(job.size for job in jobs))

    def resume(self) -> None:
        """The pause is over."""
        self._pausing = False

    def clear(self) -> None:
        """Forget the jobs that wait: the broker delivers them again."""
        self._queue.clear()
        self._individual.clear()

    def _wait(self, jobs: Sequence[PendingJob], *, timed_out: bool) -> float:
        if len(jobs) == 1:
            job = jobs[0]
            job.poison_suspect = job.isolated = True
            job.timeouts += timed_out
            if job.timeouts < MAX_TIMEOUTS:
                self._queue.append(job)
            else:  # the store answers, though perhaps for no other job that could show it; a task of its own will end
                self._run_individually(job)
        else:
            self._put_back(jobs)
        self._jobs = max(1, min(self._jobs, len(jobs) // 2))
        seconds = PROBE.delay(self._failures)
        if not self._pausing:
            self._failures += 1
            self._pausing = True
            self._resume_after = seconds
        return seconds

    def _put_back(self, jobs: Sequence[PendingJob]) -> None:
        self._queue.extendleft(reversed(jobs))

    def _next_batch(self) -> list[PendingJob]:
        first = self._queue.popleft()
        batch, size = [first], first.size
        while not first.isolated and self._queue and len(batch) < self._jobs:
            following = self._queue[0]
            size += following.size
            if following.isolated or size > self._max_bytes:
                break
            batch.append(self._queue.popleft())
        return batch

    def _run_individually(self, job: PendingJob) -> None:
        self._weigh(-job.size)
        self._individual.append(job)

    def _weigh(self, size: int) -> None:
        self._bytes += size
        if not self.is_full and self._bytes > self._max_pending_bytes:
            self.is_full = True
        elif self.is_full and self._bytes <= self._max_pending_bytes // 2:
            self.is_full = False
