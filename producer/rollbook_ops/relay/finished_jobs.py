"""Which of many jobs need not be sent again: Rollbook has finished them, stored them, or made dead letters of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TypeVar

from rollbook.database import Database
from rollbook.queries import find_finished_jobs
from rollbook_shared.jobs.codec import text_digest

JobKey = TypeVar("JobKey", bound=tuple[str, bytes])


class FinishedJobs:
    """Finds the jobs that are applied, rejected, deferred or dead."""

    def __init__(self, database_url: str) -> None:
        self._database = Database(database_url)

    def among(
        self, keys: Collection[JobKey], read: Callable[[Collection[JobKey]], Mapping[JobKey, str]]
    ) -> set[JobKey]:
        """Those of the `(job id, digest)` that are finished.

        read: returns the bodies of some of them. A message that no worker could read is known by the digest of its
            text; a dead letter of another job with the same id finishes nothing.

        Raises:
            Unavailable: Rollbook's database could not be reached.
            NotConfigured: it has no tables of Rollbook.
        """
        rows = self._database.run(find_finished_jobs([id_ for id_, _ in keys]))
        known = {(row["id"], bytes(row["digest"])) for row in rows}
        with_dead_letter = {row["id"] for row in rows if row["is_dead_letter"]}
        finished = {key for key in keys if tuple(key) in known}
        if doubtful := [key for key in keys if key not in finished and key[0] in with_dead_letter]:
            finished |= {key for key, body in read(doubtful).items() if (key[0], text_digest(body)) in known}
        return finished

    def close(self) -> None:
        """Close the connections."""
        self._database.close()
