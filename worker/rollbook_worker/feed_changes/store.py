"""A store that notifies others of what its jobs may have changed: HTTP servers of feeds, senders of deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rollbook_shared.errors import Undecodable
from rollbook_shared.jobs.models import Job
from rollbook_worker.store import Outcome, ReceivedJob, Store


class Notifier(Protocol):
    """Publishes what jobs that are committed may have changed."""

    def notify(self, jobs: Sequence[Job]) -> None:
        """Publish it; it raises nothing."""


class NotifyingStore:
    """A store whose commits are published. A duplicate is published as well: its worker may have died before it was."""

    def __init__(self, store: Store, *notifiers: Notifier) -> None:
        self._store = store
        self._notifiers = notifiers

    def apply(self, arrivals: Sequence[ReceivedJob], *, now: int | None = None) -> list[Outcome]:
        """See `Store.apply`."""
        outcomes = self._store.apply(arrivals, now=now)
        jobs = [each.job for each in arrivals if not isinstance(each.job, Undecodable)]
        for notifier in self._notifiers:
            notifier.notify(jobs)
        return outcomes
