"""For `celery worker --include tests.support.deadly`: a job whose id begins with `deadly` ends its process."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

from rollcall_shared.errors import Undecodable
from rollcall_worker import tasks
from rollcall_worker.store import Arrival, Outcome

_store = tasks.store


class DeadlyStore:
    """The store, but for those jobs; as a fault in a C library would, it leaves no time for anything."""

    def apply(self, arrivals: Sequence[Arrival], *, now: int) -> list[Outcome]:
        for arrival in arrivals:
            if not isinstance(arrival.job, Undecodable) and arrival.job.id.startswith("deadly"):
                os.kill(os.getpid(), signal.SIGKILL)
        return _store().apply(arrivals, now=now)


tasks.store = DeadlyStore  # type: ignore[assignment]
