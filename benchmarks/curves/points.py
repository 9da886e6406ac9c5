"""The points of the curves: databases with many users, with users of many ids, and with large users."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from benchmarks.bench.users import traits as ten_traits
from benchmarks.read_scale import FIRST_OTHER, add_others, write_ann
from benchmarks.store_contenders import Rollbook as Store

from rollbook import Rollbook
from rollbook_ops.devstack import Servers
from rollbook_shared import jobs
from rollbook_shared.domain.stamps import new_job_id
from rollbook_worker.store import PostgresStore, ReceivedJob

FEED_MESSAGES: Final = 30
_TRANSACTION_JOBS: Final = 200
_PEOPLE: Final = 20
"""Users of many ids."""
_LARGE_USERS: Final = 500
DAY: Final = 86_400_000_000
"""Microseconds."""
_VALUE_BYTES: Final = 1_000
"""Of one property of a large user."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """A database, and what operations do in it."""

    store: PostgresStore
    rb: Rollbook
    connection: psycopg.Connection[Any]
    """Another one, to look at the others."""
    pick: Callable[[int], Sequence[str]]
    """Ids of so many different users, or of all if there are fewer."""
    read: Callable[[], str]
    """The id of a random user; no merge has taken it away."""
    reader: str
    """The id of such a user, who is only read, with a feed of 30 messages."""
    batch: int
    """Jobs in one transaction."""
    traits: Callable[[int], Mapping[str, Any]]
    """All keys of a user; another number gives other values."""


@dataclass(frozen=True, slots=True)
class Curve:
    """What grows."""

    title: str
    numbers: Sequence[int]
    point: Callable[[Servers, int], AbstractContextManager[Point]]


@contextmanager
def _many_users(servers: Servers, users: int) -> Iterator[Point]:
    with _database(servers, f"users_{users}") as (store, rb, connection):
        write_ann(store)
        add_others(connection, 0, users)
        yield Point(
            store=store.store,
            rb=rb,
            connection=connection,
            pick=lambda number: [
                f"{FIRST_OTHER[:-8]}{each:08}" for each in random.sample(range(users), min(number, users))
            ],
            batch=_TRANSACTION_JOBS,
            traits=_ten_traits,
            read=lambda: f"{FIRST_OTHER[:-8]}{random.randrange(users):08}",
            reader="ann",
        )


@contextmanager
def _many_ids(servers: Servers, ids: int) -> Iterator[Point]:
    """Each write names any of the ids of a person, and no transaction names a person twice."""
    people = [[f"person-{person:04}-{number:06}" for number in range(ids)] for person in range(_PEOPLE + 1)]
    with _database(servers, f"ids_{ids}") as (store, rb, connection):
        at = time.time_ns() // 1_000 - DAY
        _apply(store, (_identify(at, id_, _ten_traits(0)) for person in people for id_ in person))
        for person in people:
            _apply(store, (_job(jobs.Merge, at + 1, primary_id=person[0], secondary_id=id_) for id_ in person[1:]))
        *written, reader = people
        _send_feed(store, at + 2, reader)
        _vacuum(connection)
        yield Point(
            store=store.store,
            rb=rb,
            connection=connection,
            pick=lambda number: [random.choice(person) for person in random.sample(written, min(number, _PEOPLE))],
            batch=_PEOPLE // 2,
            traits=_ten_traits,
            read=lambda: random.choice(written)[0],
            reader=reader[0],
        )


@contextmanager
def _large_users(servers: Servers, size: int) -> Iterator[Point]:
    ids = [f"large-{number:06}" for number in range(_LARGE_USERS + 1)]

    def traits(number: int) -> Mapping[str, Any]:
        return {**_ten_traits(number), **_properties(size)}

    with _database(servers, f"bytes_{size}") as (store, rb, connection):
        at = time.time_ns() // 1_000 - DAY
        _apply(store, (_identify(at, id_, traits(number)) for number, id_ in enumerate(ids)))
        *written, reader = ids
        _send_feed(store, at + 2, [reader])
        _vacuum(connection)
        yield Point(
            store=store.store,
            rb=rb,
            connection=connection,
            pick=lambda number: random.sample(written, min(number, _LARGE_USERS)),
            batch=_TRANSACTION_JOBS // 4,
            traits=traits,
            read=lambda: random.choice(written),
            reader=reader,
        )


CURVES: Final[Mapping[str, Curve]] = {
    "users": Curve("users in the table", (10_000, 100_000, 1_000_000), _many_users),
    "ids": Curve("ids of each user", (1, 10, 100, 1_000), _many_ids),
    "bytes": Curve("bytes of the properties of each user", (1_000, 10_000, 100_000), _large_users),
}


@contextmanager
def _database(servers: Servers, name: str) -> Iterator[tuple[Store, Rollbook, psycopg.Connection[Any]]]:
    with (
        closing(Store(servers.database_url, 1, name)) as store,
        Rollbook(database_url=store.url) as rb,
        psycopg.connect(store.url, autocommit=True) as connection,
    ):
        yield store, rb, connection


def _send_feed(store: Store, at: int, ids: Sequence[str]) -> None:
    data = {"text": "a text of the usual length"}
    _apply(
        store,
        (
            _job(jobs.Trigger, at + number, workflow="hello", recipients=(random.choice(ids),), data=data)
            for number in range(FEED_MESSAGES)
        ),
    )


def _apply(store: Store, sent: Iterator[jobs.Job]) -> None:
    waiting = list(sent)
    for first in range(0, len(waiting), _TRANSACTION_JOBS):
        received = [ReceivedJob.of(jobs.encode(job)) for job in waiting[first : first + _TRANSACTION_JOBS]]
        store.store.apply(received, now=time.time_ns() // 1_000)


def _vacuum(connection: psycopg.Connection[Any]) -> None:
    connection.execute("VACUUM ANALYZE")
    connection.execute("CHECKPOINT")


def _identify(at: int, user_id: str, traits: Mapping[str, Any]) -> jobs.Job:
    return _job(jobs.Identify, at, user=jobs.UserUpdate(id=user_id, traits=dict(traits)))


def _job(kind: Callable[..., jobs.Job], at: int, **fields: Any) -> jobs.Job:
    return kind(id=new_job_id(at), occurred_at=at, **fields)


def _ten_traits(number: int) -> Mapping[str, Any]:
    return ten_traits(number, number)


def _properties(size: int) -> Mapping[str, str]:
    """Texts of hexadecimal digits: no more than half can be compressed away."""
    return {f"text_{number:03}": random.randbytes(_VALUE_BYTES // 2).hex() for number in range(size // _VALUE_BYTES)}
