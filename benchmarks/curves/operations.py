"""The operations whose cost is drawn: writes as a worker applies them, and reads as a client does them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

from benchmarks.curves.points import DAY, Point

from rollbook_shared import jobs
from rollbook_shared.domain.stamps import new_job_id
from rollbook_worker.store import ReceivedJob

BULK_USERS: Final = 100
RECIPIENTS: Final = 10
CHANNELS: Final = ("in_app", "email")
READS: Final = 100
FEEDS: Final = 20
_numbers: Final = count(1)


@dataclass(frozen=True, slots=True)
class Turn:
    """What is measured once."""

    run: Callable[[], object]
    units: int


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation."""

    unit: str
    prepare: Callable[[Point], Turn]
    """Make ready what is not to be measured."""


def _changes(point: Point) -> Turn:
    """One key of each user."""
    users = [_update(id_, {"visit": next(_numbers)}) for id_ in point.pick(point.batch)]
    return _applied(point, [_job(jobs.Identify, user=user) for user in users], len(users))


def _late_changes(point: Point) -> Turn:
    """The same, before everything else that is known of the users."""
    at = time.time_ns() // 1_000 - 2 * DAY
    users = [_update(id_, {"late": next(_numbers)}) for id_ in point.pick(point.batch)]
    return _applied(point, [_job(jobs.Identify, at, user=user) for user in users], len(users))


def _identifies(point: Point) -> Turn:
    users = [_update(id_, point.traits(next(_numbers))) for id_ in point.pick(point.batch)]
    return _applied(point, [_job(jobs.Identify, user=user) for user in users], len(users))


def _bulk(point: Point) -> Turn:
    users = tuple(_update(id_, point.traits(next(_numbers))) for id_ in point.pick(BULK_USERS))
    return _applied(point, [_job(jobs.BulkIdentify, users=users)], len(users))


def _triggers(point: Point) -> Turn:
    data = {"text": "something of the usual length happened"}
    sent = [
        _job(jobs.Trigger, workflow="bench", recipients=tuple(point.pick(RECIPIENTS)), data=data, channels=CHANNELS)
        for _ in range(max(1, point.batch // RECIPIENTS))
    ]
    return _applied(point, sent, len(sent))


def _merges(point: Point) -> Turn:
    """Of guests of ten traits."""
    guests = [_update(f"guest-{next(_numbers):08}", point.traits(0)) for _ in range(point.batch)]
    _applied(point, [_job(jobs.Identify, user=guest) for guest in guests], len(guests)).run()
    pairs = zip(point.pick(point.batch), guests, strict=False)
    sent = [_job(jobs.Merge, primary_id=primary, secondary_id=guest.id) for primary, guest in pairs]
    return _applied(point, sent, len(sent))


def _reads(point: Point) -> Turn:
    ids = [point.read() for _ in range(READS)]
    return Turn(lambda: [point.rb.users.get(id_) for id_ in ids], READS)


def _feeds(point: Point) -> Turn:
    return Turn(lambda: [point.rb.feeds.list(point.reader) for _ in range(FEEDS)], FEEDS)


OPERATIONS: Final[Mapping[str, Operation]] = {
    "change": Operation("identify of one key", _changes),
    "late": Operation("late identify of one key", _late_changes),
    "identify": Operation("identify of all keys", _identifies),
    "bulk": Operation(f"user of a job of {BULK_USERS}, all keys", _bulk),
    "trigger": Operation(f"trigger of {RECIPIENTS} recipients, two channels", _triggers),
    "merge": Operation("merge of a guest", _merges),
    "users.get": Operation("read", _reads),
    "feed": Operation("page of 30 messages with counts", _feeds),
}


def _applied(point: Point, sent: Sequence[jobs.Job], units: int) -> Turn:
    """Decoding counts: a worker does it too."""
    texts = [jobs.encode(job) for job in sent]

    def run() -> None:
        point.store.apply([ReceivedJob.of(text) for text in texts], now=time.time_ns() // 1_000)

    return Turn(run, units)


def _update(user_id: str, traits: Mapping[str, Any]) -> jobs.UserUpdate:
    return jobs.UserUpdate(id=user_id, traits=dict(traits))


def _job(kind: Callable[..., jobs.Job], at: int | None = None, **fields: Any) -> jobs.Job:
    at = time.time_ns() // 1_000 if at is None else at
    return kind(id=new_job_id(at), occurred_at=at, **fields)
