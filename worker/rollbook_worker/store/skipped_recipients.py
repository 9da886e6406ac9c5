"""Says in the outcome of triggers which recipients were skipped, for they were nobody when it ran.

As far as is known by now: what is told later with an earlier stamp makes them somebody after all, and their messages
are there, but the outcome is not told again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from psycopg import Cursor

from rollbook_shared.jobs.models import Job, Trigger, UserUpdate
from rollbook_worker.core import rows_stamp
from rollbook_worker.store.statements import load

_HISTORY: Final = load("history")
_JOBS: Final = load("jobs")


def tell_skipped(cursor: Cursor, jobs: Sequence[Job]) -> None:
    """Look whom the recipients that are named by id only stood for, and note the jobs of those who were nobody."""
    triggers = [(job, named) for job in jobs if isinstance(job, Trigger) and (named := _named(job))]
    if not triggers:
        return
    cursor.execute(_HISTORY["select_existence"], {"ids": sorted({name for _, names in triggers for name in names})})
    spans: dict[str, list[tuple[str, str]]] = {}
    for name, since, until in cursor:
        spans.setdefault(name, []).append((since, until))
    lines = []
    for job, names in triggers:
        at = rows_stamp(job)
        skipped = [name for name in names if not any(since <= at < until for since, until in spans.get(name, ()))]
        if skipped:
            lines.append({"id": job.id, "skipped": skipped})
    if lines:
        cursor.execute(_JOBS["set_skipped"], {"skipped": json.dumps(lines)})


def _named(job: Trigger) -> list[str]:
    """The recipients named by id only; one that is identified inline as well is somebody."""
    inline = {recipient.id for recipient in job.recipients if isinstance(recipient, UserUpdate)}
    return sorted({recipient for recipient in job.recipients if isinstance(recipient, str)} - inline)
