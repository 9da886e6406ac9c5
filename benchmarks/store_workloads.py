"""The workloads of the store's benchmark: users, as messages for Rollbook and as rows for the floor."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

from rollbook_shared.domain.stamps import new_job_id
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import BulkIdentify, Identify, Job, UserUpdate

Row = tuple[str, dict[str, Any]]
Pick = Callable[[int, int, int], Iterator[Row]]

DAY: Final = 86_400_000_000
"""Microseconds."""
PAIRS: Final = 2_000
"""Clusters of two, whose members the workload `cluster` updates."""
_versions: Final = count(1)
_new: Final = count()


@dataclass(frozen=True, slots=True)
class Batch:
    """One transaction: the messages for Rollbook, and the rows for the floor."""

    messages: list[str]
    rows: list[Row]


@dataclass(frozen=True, slots=True)
class Workload:
    """Which users are updated; `late`: with stamps before everything that is stored of them."""

    rows: Pick
    """Called with the users in the table, the number to update, and a number that is new for each batch."""
    late: bool = False


def traits_of(number: int, version: int) -> dict[str, Any]:
    """Ten keys, about 300 bytes; every value but two differs from version to version."""
    return {
        "email": f"user{number}.{version}@example.com",
        "name": f"User Number {number} {version}",
        "avatar": f"https://cdn.example.com/a/{number}-{version}.png",
        "phone_number": f"+1415{number:07d}",
        "locale": ("en-GB", "de-CH", "fr")[version % 3],
        "plan": ("free", "pro", "team")[version % 3],
        "role": "admin",
        "company": {"id": version % 1000, "name": f"Company {version % 1000}"},
        "seats": version % 50,
        "beta": bool(version % 2),
    }


def user_id(number: int) -> str:
    return f"u{number:08}"


def pair(number: int) -> tuple[str, str]:
    """The primary and the secondary of a cluster."""
    return f"primary{number:06}", f"secondary{number:06}"


def batches(workload: Workload, *, known: int, users_per_job: int, users: int, times: int) -> list[Batch]:
    """Make transactions with distinct users."""
    return [_batch(workload, known, users_per_job, users) for _ in range(times)]


def jobs_of(rows: Sequence[Row], users_per_job: int, at: int) -> Iterator[Job]:
    """The jobs for these rows, as publishers make them."""
    for start in range(0, len(rows), users_per_job):
        users = tuple(UserUpdate(id=id_, traits=traits) for id_, traits in rows[start : start + users_per_job])
        occurred_at = at + start
        if len(users) == 1:
            yield Identify(id=new_job_id(occurred_at), occurred_at=occurred_at, user=users[0])
        else:
            yield BulkIdentify(id=new_job_id(occurred_at), occurred_at=occurred_at, users=users)


def _batch(workload: Workload, known: int, users_per_job: int, users: int) -> Batch:
    rows = list(workload.rows(known, users, next(_versions)))
    now = time.time_ns() // 1_000
    jobs = jobs_of(rows, users_per_job, now - 10 * DAY if workload.late else now)
    return Batch([encode(job) for job in jobs], rows)


def _new_users(known: int, users: int, version: int) -> Iterator[Row]:
    for _ in range(users):
        number = next(_new)
        yield f"new{number:08}", traits_of(number, version)


def _changed(known: int, users: int, version: int) -> Iterator[Row]:
    for number in random.sample(range(known), users):
        yield user_id(number), traits_of(number, version)


def _three_keys(known: int, users: int, version: int) -> Iterator[Row]:
    for id_, traits in _changed(known, users, version):
        yield id_, {key: traits[key] for key in ("name", "plan", "seats")}


def _unchanged(known: int, users: int, version: int) -> Iterator[Row]:
    for number in random.sample(range(known), users):
        yield user_id(number), traits_of(number, 0)


def _cluster(known: int, users: int, version: int) -> Iterator[Row]:
    for number in random.sample(range(2 * PAIRS), min(users, 2 * PAIRS)):
        yield pair(number // 2)[number % 2], traits_of(number, version)


WORKLOADS: Final = {
    "new": Workload(_new_users),
    "unchanged": Workload(_unchanged),
    "changed all keys": Workload(_changed),
    "changed 3 of 10": Workload(_three_keys),
    "late": Workload(_changed, late=True),
    "cluster": Workload(_cluster),
}
"""In the order in which they run: the first `unchanged` finds the users as they were loaded."""
