"""An application whose store fails on some users: `raises` is an unexpected error, `kills` ends the process."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

from rollbook_shared.settings import Settings
from rollbook_worker import tasks
from rollbook_worker.app import app
from rollbook_worker.store import Outcome, PostgresStore, ReceivedJob

__all__ = ["app"]


class FaultyStore:
    """The store on Postgres, with faults."""

    def __init__(self) -> None:
        self._store = PostgresStore.from_settings(Settings.from_env())

    def apply(self, arrivals: Sequence[ReceivedJob], *, now: int | None = None) -> list[Outcome]:
        for arrival in arrivals:
            if '"raises"' in arrival.text:
                raise RuntimeError("a bug")
            if '"kills"' in arrival.text:
                os.kill(os.getpid(), signal.SIGKILL)
        return self._store.apply(arrivals, now=now)


store: list[FaultyStore] = []


def _store() -> FaultyStore:
    # after the fork: a connection is of one process
    if not store:
        store.append(FaultyStore())
    return store[0]


tasks.store = _store  # type: ignore[assignment]
