"""Rule 11 for other users: a user who cannot be erased for now delays no other erasure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg import errors
from tests.support.builders import day, delete, identify
from tests.support.stores import OnPostgres, arrive

from rollbook_shared.errors import Unavailable
from rollbook_shared.jobs.codec import encode
from rollbook_worker.store import PostgresStore
from rollbook_worker.store.erasure import erase
from rollbook_worker.store.retry import Blocked

NAMES = ("u0", "u1", "u2")
SETTLED = day(9)


@pytest.fixture
def deleted(on_postgres: OnPostgres) -> OnPostgres:
    """A store in which the deletes of three users have settled, one after the other."""
    on_postgres.reset()
    for plus, name in enumerate(NAMES):
        identified, deleted = identify(name, at=5, plus=plus), delete(name, at=6, plus=plus)
        arrive(on_postgres, encode(identified), encode(deleted), now=day(6, 1))
    return on_postgres


@pytest.fixture
def store_with_short_timeouts(deleted: OnPostgres) -> Iterator[PostgresStore]:
    store = PostgresStore(deleted.url, lock_timeout=timedelta(milliseconds=100))
    yield store
    store.close()


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Exception], list[str]]:
    """Make the erasure of one user fail; gives the list of those who are tried."""

    def fail(name: str, failure: Exception) -> list[str]:
        tried: list[str] = []

        def erase_or_fail(cursor: Any, user: str, **how: Any) -> dict[str, int]:
            tried.append(user)
            if user == name:
                raise failure
            return erase(cursor, user, **how)

        monkeypatch.setattr("rollbook_worker.store.cleanup.erase", erase_or_fail)
        return tried

    return fail


@contextmanager
def locked(url: str, *names: str) -> Iterator[None]:
    """Another transaction that holds the rows of these users."""
    with psycopg.connect(url) as other:
        other.execute("SELECT 1 FROM rollbook.users WHERE id = ANY(%s) FOR UPDATE", [list(names)])
        yield


def left(store: OnPostgres) -> list[str]:
    return [row[0] for row in store.connection.execute("SELECT id FROM rollbook.users ORDER BY id")]


def test_a_locked_user_delays_no_other_erasure_and_is_erased_later(
    deleted: OnPostgres, store_with_short_timeouts: PostgresStore
) -> None:
    with locked(deleted.url, "u0"), pytest.raises(Blocked, match="lock"):
        store_with_short_timeouts.cleanup.erase_deleted_users(now=SETTLED)
    assert left(deleted) == ["u0"]

    assert store_with_short_timeouts.cleanup.erase_deleted_users(now=SETTLED) == 1
    assert left(deleted) == []


def test_users_after_a_full_page_of_blocked_ones_are_erased_too(
    deleted: OnPostgres, store_with_short_timeouts: PostgresStore
) -> None:
    with locked(deleted.url, "u0", "u1"):
        with pytest.raises(Blocked):
            store_with_short_timeouts.cleanup.erase_deleted_users(now=SETTLED, limit=2)
        assert store_with_short_timeouts.cleanup.erase_deleted_users(now=SETTLED, limit=2) == 1

    assert left(deleted) == ["u0", "u1"]
    assert store_with_short_timeouts.cleanup.erase_deleted_users(now=SETTLED, limit=2) == 2
    assert left(deleted) == []


@pytest.mark.parametrize("failure", [errors.LockNotAvailable(), errors.QueryCanceled(), errors.DataError(), KeyError()])
def test_an_error_of_one_user_is_raised_after_the_others_are_erased(
    deleted: OnPostgres, failing: Callable[[str, Exception], list[str]], failure: Exception
) -> None:
    failing("u1", failure)

    with pytest.raises(Blocked if isinstance(failure, psycopg.OperationalError) else type(failure)):
        deleted.store.cleanup.erase_deleted_users(now=SETTLED)

    assert left(deleted) == ["u1"]


def test_an_outage_ends_the_erasure_at_once(
    deleted: OnPostgres, failing: Callable[[str, Exception], list[str]]
) -> None:
    tried = failing("u1", errors.AdminShutdown())

    with pytest.raises(Unavailable):
        deleted.store.cleanup.erase_deleted_users(now=SETTLED)

    assert tried == ["u0", "u1"]
