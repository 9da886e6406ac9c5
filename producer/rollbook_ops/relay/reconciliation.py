"""Decides what becomes of jobs that were sent, by what Rollbook's database has of them. No I/O.

A finished job stays in the outbox for a while, and is looked up once more before it is removed: a failover to a replica
that is seconds behind loses what was finished in these seconds, and the job with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rollbook_ops.relay.finished_jobs import Finished
from rollbook_ops.relay.job_key import JobKey


@dataclass(frozen=True, kw_only=True, slots=True)
class SentRow:
    """What the outbox says of a job that was sent."""

    is_finished: bool = False
    """Whether the relay has seen that it is finished."""
    dead_on: int | None = None
    """The timeline on which the relay saw a dead letter of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reconciliation:
    """What to do with each job."""

    keep: dict[JobKey, int | None] = field(default_factory=dict)
    """It is finished: look once more later. With the timeline, if it is dead."""
    remove: list[JobKey] = field(default_factory=list)
    unfinished: list[JobKey] = field(default_factory=list)
    lost: list[JobKey] = field(default_factory=list)
    """It was finished and is not any more: send it again."""


def reconcile(sent: Mapping[JobKey, SentRow], found: Finished, *, keeps: bool) -> Reconciliation:
    """Decide for each job that was sent; `keeps`: whether finished jobs stay for a while."""
    result = Reconciliation()
    for key, job in sent.items():
        if key in found.jobs or key in found.dead:
            if keeps and not job.is_finished:
                result.keep[key] = found.timeline if key in found.dead else None
            else:
                result.remove.append(key)
        elif not job.is_finished:
            result.unfinished.append(key)
        elif job.dead_on is not None and job.dead_on == found.timeline:
            result.remove.append(key)  # nothing was lost on this timeline: its dead letter was dropped, or replayed
        else:
            result.lost.append(key)
    return result
