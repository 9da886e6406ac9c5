"""The line of waiting jobs by itself: what it submits, and how its pauses end, tests see and say."""

from __future__ import annotations

from collections.abc import Callable

from rollbook_worker.celery_ext.batching.scheduler import Gatherer, Waiting


class Line:
    """A gatherer, and all that it does."""

    def __init__(
        self, *, slots: int = 1, most_jobs: int = 4, most_bytes: int = 1_000, hold_bytes: int = 10_000
    ) -> None:
        self.submitted: list[list[Waiting]] = []
        self.ordinary: list[Waiting] = []
        self.full: list[bool] = []
        self.pauses: list[float] = []
        self._after_pause: list[Callable[[], None]] = []
        self.gatherer = Gatherer(
            slots=slots,
            most_jobs=most_jobs,
            submit=self.submitted.append,
            ordinarily=self.ordinary.append,
            later=self._later,
            full=self.full.append,
            most_bytes=most_bytes,
            hold_bytes=hold_bytes,
        )

    def add(self, *names: str, size: int = 10, alone: bool = False) -> None:
        for name in names:
            self.gatherer.add(Waiting(request=None, message=name, size=size, alone=alone))

    def turn(self) -> list[str]:
        """What is submitted now, all batches together separated by bars."""
        before = len(self.submitted)
        self.gatherer.turn()
        return ["".join(str(job.message) for job in batch) for batch in self.submitted[before:]]

    def end(self, batch: int = -1) -> None:
        """The store has answered for a batch."""
        self.gatherer.ended()
        self.gatherer.decided(self.submitted[batch])

    def fail(self, batch: int = -1) -> None:
        """The store was not available for a batch."""
        self.gatherer.ended()
        self.pauses.append(self.gatherer.unavailable(self.submitted[batch]))

    def is_paused(self) -> bool:
        return bool(self._after_pause)

    def end_pause(self) -> list[str]:
        """What is submitted when the pause is over."""
        before = len(self.submitted)
        calls, self._after_pause = self._after_pause, []
        for call in calls:
            call()
        return ["".join(str(job.message) for job in batch) for batch in self.submitted[before:]]

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        self._after_pause.append(call)
