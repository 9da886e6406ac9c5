"""A store whose keys are not those of the database's receipts does nothing; one that knows them all finds them all."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from tests.support.builders import day, delete, identify
from tests.support.lock_interleaving import start_while_blocked
from tests.support.stores import OnPostgres

from rollbook_shared.database.erasure_keys import WRONG_KEY, WRONG_KEY_ADVICE, WrongErasureKey
from rollbook_shared.errors import Unavailable
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Job
from rollbook_worker.store import PostgresStore, ReceivedJob


@pytest.fixture
def url(on_postgres: OnPostgres) -> Iterator[str]:
    on_postgres.reset()
    yield on_postgres.url
    on_postgres.reset()


def apply(url: str, *keys: str, job: Job, now: int) -> None:
    store = PostgresStore(url, erasure_keys=keys)
    try:
        store.apply([ReceivedJob.of(encode(job))], now=now)
    finally:
        store.close()


def erase(url: str, user_id: str, *keys: str) -> None:
    apply(url, *keys, job=identify(user_id, at=1), now=day(1))
    apply(url, *keys, job=delete(user_id, at=3), now=day(3))
    store = PostgresStore(url, erasure_keys=keys)
    assert store.cleanup.erase_deleted_users(now=day(5)) == 1
    store.close()


def users(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        return [user_id for (user_id,) in connection.execute("SELECT id FROM rollbook.current_users")]


def test_a_store_with_another_key_says_what_to_do_and_writes_nothing(url: str) -> None:
    erase(url, "ann", "old")

    with pytest.raises(Unavailable) as rejected:  # the jobs must wait
        apply(url, "new", job=identify("ann", at=2), now=day(6))

    assert str(rejected.value) == f"{WRONG_KEY}. {WRONG_KEY_ADVICE}"
    assert users(url) == []


def test_receipts_of_previous_keys_are_found(url: str) -> None:
    erase(url, "ann", "old")

    apply(url, "new", "other", "old", job=identify("ann", at=2), now=day(6))
    assert users(url) == []

    apply(url, "new", "other", "old", job=identify("ann", at=4), now=day(6))
    assert users(url) == ["ann"]


def test_a_process_that_does_not_know_the_new_key_stops_and_one_that_does_goes_on(url: str) -> None:
    apply(url, "old", "new", job=identify("bo", at=1), now=day(1))
    apply(url, "old", job=identify("cy", at=1), now=day(1))  # only the first key is recorded
    erase(url, "ann", "old")
    erase(url, "dee", "new", "old")

    for keys in [("old",), ("new",)]:
        with pytest.raises(WrongErasureKey):
            apply(url, *keys, job=identify("ann", at=2), now=day(6))

    apply(url, "old", "new", job=identify("dee", at=2), now=day(6))
    assert sorted(users(url)) == ["bo", "cy"]


def test_the_database_takes_one_key_of_two_processes_that_start_at_once(on_postgres: OnPostgres, url: str) -> None:
    rejected: list[str] = []

    def start(key: str) -> None:
        try:
            apply(url, key, job=identify(key, at=1), now=day(1))
        except WrongErasureKey:
            rejected.append(key)

    start_while_blocked(
        on_postgres,
        "SELECT pg_advisory_xact_lock(hashtextextended('rollbook.erasure_keys', 0))",
        lambda: start("one"),
        lambda: start("two"),
    )

    assert len(rejected) == 1
    assert users(url) == [key for key in ("one", "two") if key not in rejected]


def test_the_database_does_not_hold_the_key(on_postgres: OnPostgres, url: str) -> None:
    apply(url, "a-secret-key", job=identify("ann", at=1), now=day(1))

    rows = on_postgres.connection.execute("SELECT key_hash FROM rollbook.erasure_keys").fetchall()

    assert len(rows) == 1
    assert b"a-secret-key" not in bytes(rows[0][0])
