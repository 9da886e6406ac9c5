"""Jobs that contend for the same users, and their delivery by several workers."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final

from tests.support.builders import (
    NOW,
    bulk_identify,
    delete,
    identify,
    merge,
    set_preferences,
    trigger,
    unset_preferences,
    user,
)
from tests.support.stores import OnPostgres

from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Job
from rollbook_worker.store import ReceivedJob

WORKERS: Final = 6


JOBS: Final = 400


USERS: Final = tuple(f"u{number}" for number in range(12))


def deliver(subject: OnPostgres, batch: list[Job]) -> list[str]:
    return [
        outcome.state.value for outcome in subject.store.apply([ReceivedJob.of(encode(job)) for job in batch], now=NOW)
    ]


def contending_jobs(chance: random.Random) -> Iterator[Job]:
    for number in range(JOBS):
        job, at, one, other = f"j{number}", chance.randrange(100), *chance.sample(USERS, 2)
        match chance.randrange(12):
            case 0 | 1:
                yield merge(one, other, at=at, job=job)
            case 2:
                yield delete(one, at=at, job=job)
            case 3 | 4:
                yield trigger(f"w{number}", [one, user(other, seats=number)], actor=one, at=at, job=job)
            case 5:
                yield set_preferences(one, "default", {"workflows": {"x": bool(number % 2)}}, at=at, job=job)
            case 6:
                yield unset_preferences(one, "default", at=at, job=job)
            case 7 | 8:
                yield bulk_identify(*(user(id_, plan=number) for id_ in chance.sample(USERS, 5)), at=at, job=job)
            case _:
                yield identify(one, at=at, job=job, plan=number, nested={"k": {other: number}})
