"""Finds the jobs that the broker does not accept, so that they do not stop the others of their batch.

When a batch fails, either the broker takes nothing now, or one of the jobs is too large for it. A job is unsendable
only if the broker accepts another job right after it has rejected this one. So a broker that is away or full makes no
job unsendable. The other job is one of the same batch, and may be sent more than once, which changes nothing.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from rollbook_ops.relay.job_key import JobKey
from rollbook_shared.errors import Unavailable
from rollbook_shared.jobs.celery_task import EncodedJob

MAX_SECONDS: Final = 10.0
"""After which no further job is tried. The relay claims those that are left with its next batch."""

Publish = Callable[[EncodedJob], None]
"""Publish one job; raises `Unavailable`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SendResult:
    """What became of the jobs of a batch. Those in neither list were not tried."""

    sent: list[JobKey]
    unsendable: list[JobKey] = field(default_factory=list)


def send_individually(jobs: Mapping[JobKey, EncodedJob], publish: Publish, failure: Unavailable) -> SendResult:
    """Publish each job of a batch that failed with `failure`.

    Raises:
        Unavailable: the broker accepts no job now. Some may have been sent.
    """
    end = time.monotonic() + MAX_SECONDS
    accepted = _first_accepted(jobs, publish, failure)
    result = SendResult(sent=[accepted])
    for key, job in jobs.items():
        if key == accepted:
            continue
        if time.monotonic() > end:
            break
        try:
            publish(job)
        except Unavailable:
            publish(jobs[accepted])  # if this fails too, it is not the job
            result.unsendable.append(key)
        else:
            result.sent.append(key)
    return result


def _first_accepted(jobs: Mapping[JobKey, EncodedJob], publish: Publish, failure: Unavailable) -> JobKey:
    """A job that the broker accepts: the smallest, or else any. A batch of one job says nothing about the broker."""
    smallest, *others = sorted(jobs, key=lambda key: len(jobs[key].body))
    if not others:
        raise failure
    for key in (smallest, random.choice(others)):
        try:
            publish(jobs[key])
        except Unavailable as error:
            failure = error
        else:
            return key
    raise failure
