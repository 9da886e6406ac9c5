"""Which of many jobs need not be sent again: Rollbook has finished them, stored them, or made dead letters of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final

from rollbook.database import Database
from rollbook.queries import find_finished_jobs
from rollbook_ops.relay.job_key import JobKey
from rollbook_shared.database.schema import DEFAULT_SCHEMA
from rollbook_shared.jobs.codec import text_digest


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """What Rollbook's database has of some jobs."""

    jobs: frozenset[JobKey]
    """Those that are applied, rejected, deferred or cancelled."""
    dead: frozenset[JobKey] = frozenset()
    """Those of which there is nothing but a dead letter."""
    timeline: int | None = None
    """Of the database: each failover and each restore changes it. None on a replica."""


NONE_FINISHED: Final = Finished(jobs=frozenset())


class FinishedJobs:
    """Finds the jobs that are applied, rejected, deferred or dead."""

    def __init__(self, database_url: str, schema: str = DEFAULT_SCHEMA) -> None:
        self._database = Database(database_url, schema=schema)

    def among(self, keys: Collection[JobKey], read: Callable[[Collection[JobKey]], Mapping[JobKey, str]]) -> Finished:
        """Those of the jobs that are finished.

        read: returns the bodies of some of them. A message that no worker could read is known by the digest of its
            text; a dead letter of another job with the same id finishes nothing.

        Raises:
            Unavailable: Rollbook's database could not be reached.
            NotConfigured: it has no tables of Rollbook.
        """
        rows, timeline = self._database.run(find_finished_jobs([key.id for key in keys]))
        jobs = {JobKey(row["id"], bytes(row["digest"])) for row in rows if not row["is_dead_letter"]}
        dead = {JobKey(row["id"], bytes(row["digest"])) for row in rows if row["is_dead_letter"]}
        with_dead_letter = {key.id for key in dead}
        doubtful = [key for key in keys if key not in jobs | dead and key.id in with_dead_letter]
        bodies = read(doubtful) if doubtful else {}
        unread = {key for key, body in bodies.items() if JobKey(key.id, text_digest(body)) in dead}
        found = frozenset(keys)
        return Finished(jobs=found & jobs, dead=(found & (dead | unread)) - jobs, timeline=timeline)

    def close(self) -> None:
        """Close the connections."""
        self._database.close()
