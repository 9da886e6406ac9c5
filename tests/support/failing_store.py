"""A store that fails on some jobs, for modules that `celery worker --include` loads."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rollbook_shared.errors import Undecodable
from rollbook_worker import tasks
from rollbook_worker.store import Outcome, ReceivedJob

_store = tasks.store


class _FailingStore:
    def __init__(self, prefix: str, fail: Callable[[], object]) -> None:
        self._prefix = prefix
        self._fail = fail

    def apply(self, arrivals: Sequence[ReceivedJob], *, now: int | None = None) -> list[Outcome]:
        for arrival in arrivals:
            if not isinstance(arrival.job, Undecodable) and arrival.job.id.startswith(self._prefix):
                self._fail()
        return _store().apply(arrivals, now=now)


def fail_on_jobs(prefix: str, fail: Callable[[], object]) -> None:
    """Let the store of this process call `fail` for each job whose id begins with `prefix`."""
    tasks.store = lambda: _FailingStore(prefix, fail)  # type: ignore[assignment]
