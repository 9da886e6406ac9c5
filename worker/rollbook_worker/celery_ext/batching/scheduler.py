"""Which of the waiting jobs are applied next, and together with which others. Knows neither Celery nor the store.

A batch is submitted as soon as a slot is free, and takes along whatever has come since the last one: while a
transaction runs the next gathers by itself. So an idle worker waits for nobody, and a busy one fills its batches,
without a time to tune. Bounds are the jobs of a batch, and its bytes.

When the store is not available, the batch goes back to the head of the line, and all wait for a pause. Nothing is
sent and nothing is acknowledged meanwhile, and what may be held is bounded, so the jobs that are not here yet stay in
the queue for others. Then one batch probes, half as large as the one that failed, and half of that, down to a single
job. A job that fails alone goes to the end of the line as a suspect: it may be what makes the store fail. Once the
store has answered for another, the suspect is left to Celery's ordinary way, which tries it apart from all others; so
an outage of an hour costs one attempt a pause and no message, and no job stands in others' way for ever.

A job that comes again is submitted alone: its last worker may have died of it.

Not thread-safe: all calls come from one thread, the worker's event loop.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rollbook_shared.backoff import Backoff
from rollbook_worker.celery_ext.batching.trace_context import Sent

MOST_BYTES: Final = 1024 * 1024
"""Of the messages of one batch; a larger job is a batch of its own."""
HOLD_BYTES: Final = 64 * 1024 * 1024
"""Of all that is held; above it no more is taken from the broker."""
ALONE_TOO_LONG: Final = 2
"""Times that the store may take too long over one job; then it is left to Celery's ordinary way."""
PROBE: Final = Backoff(first=0.5, longest=5.0)
"""Between two probes of a store that is not available: one statement a worker, however many jobs wait."""


@dataclass(slots=True, eq=False)
class Waiting:
    """A job that waits to be applied: Celery's request, what its message holds, and how often it was put off."""

    request: Any
    message: object
    size: int
    sent: Sent | None = None
    alone: bool = False
    suspect: bool = False
    put_off: int = 0
    too_long: int = 0
    """How often the store took too long over it alone."""


class Gatherer:
    """The line of waiting jobs.

    slots: how many batches may be applied at once.
    submit: has a batch applied, which `ended` must follow, in a later turn, and what became of each of its jobs:
        `decided`, `dropped`, `failed`, `put_back` or `unavailable`.
    ordinarily: runs a job by Celery's ordinary way.
    later: calls back after so many seconds.
    full: is told True when no more should be taken from the broker, and False when there is room again.
    """

    def __init__(
        self,
        *,
        slots: int,
        most_jobs: int,
        submit: Callable[[list[Waiting]], object],
        ordinarily: Callable[[Waiting], object],
        later: Callable[[float, Callable[[], None]], object],
        full: Callable[[bool], object] = lambda full: None,
        most_bytes: int = MOST_BYTES,
        hold_bytes: int = HOLD_BYTES,
    ) -> None:
        self._slots = slots
        self._most_jobs = self._jobs = most_jobs
        self._most_bytes = most_bytes
        self._hold_bytes = hold_bytes
        self._submit = submit
        self._ordinarily = ordinarily
        self._later = later
        self._full = full
        self._line: deque[Waiting] = deque()
        self._running = 0
        self._failures = 0
        self._pausing = False
        self._bytes = 0
        self._is_full = False

    def __len__(self) -> int:
        """How many jobs wait."""
        return len(self._line)

    def __iter__(self) -> Iterator[Waiting]:
        """Those who wait, in their order."""
        return iter(self._line)

    @property
    def has_room(self) -> bool:
        """Whether a batch could be submitted now."""
        return not self._pausing and self._running < (1 if self._failures else self._slots)

    def add(self, job: Waiting) -> None:
        """Take a job into the line; `turn` submits it."""
        self._line.append(job)
        self._weigh(job.size)

    def turn(self) -> None:
        """Submit what can be submitted now."""
        while self._line and self.has_room:
            if self._line[0].suspect and not self._failures:
                self._leave(self._line.popleft())
            else:
                self._running += 1
                self._submit(self._take())

    def ended(self) -> None:
        """A batch has come to its end, whatever that is: its slot is free."""
        self._running -= 1

    def decided(self, jobs: Sequence[Waiting]) -> None:
        """The store has answered for these."""
        self._failures = 0
        self._jobs = min(self._most_jobs, self._jobs * 2)
        self.dropped(jobs)

    def dropped(self, jobs: Sequence[Waiting]) -> None:
        """These are not held any more."""
        self._weigh(-sum(job.size for job in jobs))

    def failed(self, jobs: Sequence[Waiting]) -> None:
        """The batch came to nothing, for no reason that waiting would mend: each of these is on its own."""
        for job in jobs:
            self._leave(job)

    def put_back(self, jobs: Sequence[Waiting]) -> None:
        """There was no time for these: they are the next."""
        self._line.extendleft(reversed(jobs))

    def unavailable(self, jobs: Sequence[Waiting], *, too_long: bool = False) -> float:
        """The store was not available for these, or took `too_long`: hold them, and all others. Return for how many
        seconds.
        """
        if len(jobs) == 1:
            job = jobs[0]
            job.suspect = job.alone = True
            job.too_long += too_long
            if job.too_long < ALONE_TOO_LONG:
                self._line.append(job)
            else:  # the store answers, and there may be no other job to show that; the ordinary way ends some day
                self._leave(job)
        else:
            self.put_back(jobs)
        self._jobs = max(1, min(self._jobs, len(jobs) // 2))
        seconds = PROBE.delay(self._failures)
        if not self._pausing:
            self._failures += 1
            self._pausing = True
            self._later(seconds, self._resume)
        return seconds

    def clear(self) -> None:
        """Forget those who wait: the broker gives them to others."""
        self._line.clear()

    def _resume(self) -> None:
        self._pausing = False
        self.turn()

    def _take(self) -> list[Waiting]:
        first = self._line.popleft()
        batch, size = [first], first.size
        while not first.alone and self._line and len(batch) < self._jobs:
            following = self._line[0]
            size += following.size
            if following.alone or size > self._most_bytes:
                break
            batch.append(self._line.popleft())
        return batch

    def _leave(self, job: Waiting) -> None:
        self._weigh(-job.size)
        self._ordinarily(job)

    def _weigh(self, size: int) -> None:
        self._bytes += size
        if not self._is_full and self._bytes > self._hold_bytes:
            self._is_full = True
            self._full(True)
        elif self._is_full and self._bytes <= self._hold_bytes // 2:
            self._is_full = False
            self._full(False)
