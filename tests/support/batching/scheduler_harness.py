"""The batch scheduler alone: a test sees what it submits, and ends its batches and delays."""

from __future__ import annotations

from collections.abc import Sequence

from rollbook_worker.celery_ext.batching.scheduler import (
    BatchOutcome,
    BatchScheduler,
    PendingJob,
    ResumeAfter,
    RunIndividually,
    SubmitBatch,
)


class SchedulerHarness:
    """A scheduler, and all that it has decided."""

    def __init__(
        self, *, slots: int = 1, max_jobs: int = 4, max_bytes: int = 1_000, max_pending_bytes: int = 10_000
    ) -> None:
        self.submitted: list[list[PendingJob]] = []
        self.individual: list[PendingJob] = []
        self.full: list[bool] = []
        """Each change of `is_full`."""
        self.pauses: list[float] = []
        self.is_paused = False
        self.scheduler = BatchScheduler(
            slots=slots, max_jobs=max_jobs, max_bytes=max_bytes, max_pending_bytes=max_pending_bytes
        )

    def add(self, *names: str, size: int = 10, isolated: bool = False) -> None:
        for name in names:
            self.scheduler.add(PendingJob(request=None, message=name, size=size, isolated=isolated))
        self._note_is_full()

    def turn(self) -> list[str]:
        """Follow the decisions; return the batches that were submitted, each as the names of its jobs."""
        before = len(self.submitted)
        for decision in self.scheduler.decisions():
            match decision:
                case SubmitBatch(jobs=jobs):
                    self.submitted.append(jobs)
                case RunIndividually(job=job):
                    self.individual.append(job)
                case ResumeAfter():
                    assert not self.is_paused
                    self.is_paused = True
        self._note_is_full()
        return ["".join(str(job.message) for job in batch) for batch in self.submitted[before:]]

    def finish(self, batch: int = -1) -> None:
        """The store has answered for a batch."""
        self.end(finished=self.submitted[batch])

    def lose_store(self, batch: int = -1) -> list[str]:
        """The store was not available for a batch; return what is submitted now."""
        self.end(unavailable=self.submitted[batch])
        return self.turn()

    def fail(self, batch: int = -1) -> None:
        """A batch has failed."""
        self.end(failed=self.submitted[batch])

    def end(
        self,
        *,
        finished: Sequence[PendingJob] = (),
        unavailable: Sequence[PendingJob] = (),
        failed: Sequence[PendingJob] = (),
    ) -> None:
        seconds = self.scheduler.finish(BatchOutcome(finished=finished, unavailable=unavailable, failed=failed))
        if seconds is not None:
            self.pauses.append(seconds)
        self._note_is_full()

    def let_time_pass(self) -> list[str]:
        """What is submitted when the pause is over."""
        if self.is_paused:
            self.is_paused = False
            self.scheduler.resume()
        return self.turn()

    def _note_is_full(self) -> None:
        if self.scheduler.is_full != (self.full[-1] if self.full else False):
            self.full.append(self.scheduler.is_full)
