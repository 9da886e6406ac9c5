"""For `celery worker --include tests.support.mistaken`: a mistake in the code, met by jobs whose id begins with it."""

from __future__ import annotations

from collections.abc import Sequence

from rollcall_shared.errors import Undecodable
from rollcall_worker import tasks
from rollcall_worker.store import Arrival, Outcome

_store = tasks.store


class MistakenStore:
    """The store, but for those jobs."""

    def apply(self, arrivals: Sequence[Arrival], *, now: int) -> list[Outcome]:
        for arrival in arrivals:
            if not isinstance(arrival.job, Undecodable) and arrival.job.id.startswith("mistake"):
                raise RuntimeError("nobody thought of this")
        return _store().apply(arrivals, now=now)


tasks.store = MistakenStore  # type: ignore[assignment]
