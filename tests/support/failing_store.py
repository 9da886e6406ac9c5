"""A store that stumbles over some jobs, for what is given to `celery worker --include`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rollbook_shared.errors import Undecodable
from rollbook_worker import tasks
from rollbook_worker.store import Outcome, ReceivedJob

_store = tasks.store


class _StumblingStore:
    def __init__(self, prefix: str, stumble: Callable[[], object]) -> None:
        self._prefix = prefix
        self._stumble = stumble

    def apply(self, arrivals: Sequence[ReceivedJob], *, now: int) -> list[Outcome]:
        for arrival in arrivals:
            if not isinstance(arrival.job, Undecodable) and arrival.job.id.startswith(self._prefix):
                self._stumble()
        return _store().apply(arrivals, now=now)


def stumble_over(prefix: str, stumble: Callable[[], object]) -> None:
    """Let this process's store call `stumble` for each job whose id begins with `prefix`."""
    tasks.store = lambda: _StumblingStore(prefix, stumble)  # type: ignore[assignment]
