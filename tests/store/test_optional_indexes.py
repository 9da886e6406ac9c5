"""Optional indexes are created and dropped while workers run, and hold every user meanwhile (rule 35)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import psycopg
import pytest
from benchmarks.partitioning import partition
from tests.support.builders import NOW, bulk_identify, delete, identify, merge, user
from tests.support.stores import OnPostgres, arrive
from tests.support.waits import DEADLINE_SECONDS, wait_until

from rollbook import Rollbook
from rollbook.queries.user_list import OPTIONAL_INDEXES as READ_INDEXES
from rollbook_shared.errors import Unavailable
from rollbook_shared.jobs.codec import encode
from rollbook_worker.migrations import stored_keys
from rollbook_worker.migrations.optional_indexes import OPTIONAL_INDEXES, create_index, drop_index

KEYS = "SELECT id, email_key, name_key, created_key IS NOT NULL FROM rollbook.users ORDER BY id"


@pytest.fixture
def subject(fresh_database_url: str) -> Iterator[OnPostgres]:
    subject = OnPostgres(fresh_database_url)
    yield subject
    subject.close()


@pytest.fixture
def other(subject: OnPostgres) -> Iterator[psycopg.Connection]:
    with psycopg.connect(subject.url) as connection:
        yield connection


@pytest.fixture
def in_background() -> Iterator[Callable[..., Future[object]]]:
    with ThreadPoolExecutor(1) as threads:
        yield threads.submit


def is_waiting_for_a_lock(subject: OnPostgres) -> bool:
    waiting = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return subject.connection.execute(waiting).fetchone() is not None


def write(connection: psycopg.Connection, id_: str, name: str) -> None:
    connection.execute(
        "INSERT INTO rollbook.users"
        " (id, profile, key_stamps, base_stamp, last_stamp, first_identified, identify_stamps)"
        " VALUES (%s, jsonb_build_object('a.name', %s::text), '{}', '01', '01', '01', '')",
        (id_, name),
    )


def test_the_client_knows_the_indexes_that_operators_create() -> None:
    assert {name: set(index.indexes) for name, index in READ_INDEXES.items()} == {
        name: set(index.indexes) for name, index in OPTIONAL_INDEXES.items()
    }
    assert {name: set(index.keys) for name, index in READ_INDEXES.items()} == {
        name: {key.column for key in index.keys} for name, index in OPTIONAL_INDEXES.items()
    }


def test_keys_are_stored_for_earlier_and_later_users_from_the_creation_to_the_drop(
    subject: OnPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_keys, "BATCH_ROWS", 2)  # several batches
    arrive(subject, encode(bulk_identify(*(user(f"u{n}", name=f"U{n}") for n in range(5)), at=1)), now=NOW)
    arrive(subject, encode(merge("u3", "u4", at=2)), encode(delete("u2", at=2)), now=NOW)
    assert {row[1:] for row in subject.connection.execute(KEYS)} == {(None, None, False)}

    assert create_index(subject.url, "prefix")
    arrive(subject, encode(identify("later", name="LATER", email="L@Example.com", at=3)), now=NOW)
    arrive(subject, encode(identify("u0", name="Zero", at=3)), now=NOW)

    assert subject.connection.execute(KEYS).fetchall() == [
        ("later", "l@example.com", "later", False),
        ("u0", None, "zero", False),
        ("u1", None, "u1", False),
        ("u2", None, None, False),
        ("u3", None, "u3", False),
        ("u4", None, None, False),
    ]
    drop_index(subject.url, "prefix")
    assert {row[1:] for row in subject.connection.execute(KEYS)} == {(None, None, False)}


def test_a_write_that_began_before_the_creation_is_in_the_index(
    subject: OnPostgres, other: psycopg.Connection, in_background: Callable[..., Future[object]]
) -> None:
    write(other, "early", "EARLY")
    created = in_background(create_index, subject.url, "prefix")
    wait_until(lambda: is_waiting_for_a_lock(subject), what="the creation waits")
    other.commit()

    assert created.result(DEADLINE_SECONDS) is True
    assert ("early", None, "early", False) in subject.connection.execute(KEYS).fetchall()


def test_a_row_that_is_locked_is_written_later_and_the_others_at_once(
    subject: OnPostgres, other: psycopg.Connection, in_background: Callable[..., Future[object]]
) -> None:
    for name in ("a", "locked", "z"):
        write(subject.connection, name, name.upper())
    other.execute("SELECT FROM rollbook.users WHERE id = 'locked' FOR UPDATE")
    created = in_background(create_index, subject.url, "prefix")

    def keys() -> dict[str, str | None]:
        return {row[0]: row[2] for row in subject.connection.execute(KEYS)}

    wait_until(lambda: keys()["z"] == "z", what="the key of the last user")
    assert keys() == {"a": "a", "locked": None, "z": "z"}
    other.rollback()

    assert created.result(DEADLINE_SECONDS) is True
    assert keys()["locked"] == "locked"


def test_a_creation_that_was_interrupted_goes_on(subject: OnPostgres, monkeypatch: pytest.MonkeyPatch) -> None:
    write(subject.connection, "ann", "Ann")

    def fails(*args: object) -> None:
        raise psycopg.OperationalError("the machine was switched off")

    with monkeypatch.context() as patch:
        patch.setattr(stored_keys, "_write_rows", fails)
        with pytest.raises(Unavailable):
            create_index(subject.url, "prefix")

    assert create_index(subject.url, "prefix")
    assert subject.connection.execute(KEYS).fetchall() == [("ann", None, "ann", False)]
    assert not create_index(subject.url, "prefix")


def test_two_processes_do_not_create_indexes_at_once(
    subject: OnPostgres, other: psycopg.Connection, in_background: Callable[..., Future[object]]
) -> None:
    write(other, "early", "EARLY")
    created = in_background(create_index, subject.url, "created_at")
    wait_until(lambda: is_waiting_for_a_lock(subject), what="the creation waits")

    with pytest.raises(Unavailable, match="another process"):
        create_index(subject.url, "prefix")

    other.commit()
    assert created.result(DEADLINE_SECONDS) is True


def test_workers_that_write_meanwhile_leave_no_key_out(subject: OnPostgres) -> None:
    stopped = threading.Event()

    def identify_users() -> int:
        batch = 0
        while not stopped.is_set():
            jobs = [identify(f"u{n:03}", name=f"Name {batch}", at=batch, job=f"{batch}-{n}") for n in range(40)]
            arrive(subject, *map(encode, jobs), now=NOW)
            batch += 1
        return batch

    with ThreadPoolExecutor(1) as threads:
        writing = threads.submit(identify_users)
        for _ in range(2):
            create_index(subject.url, "prefix")
            drop_index(subject.url, "prefix")
        create_index(subject.url, "prefix")
        stopped.set()
        batches = writing.result(DEADLINE_SECONDS)

    assert batches > 1
    assert {row[2] for row in subject.connection.execute(KEYS)} == {f"name {batches - 1}"}


@pytest.mark.parametrize("name", OPTIONAL_INDEXES)
def test_optional_indexes_are_created_on_partitioned_tables_too(subject: OnPostgres, name: str) -> None:
    partition(subject.url, 2)
    write(subject.connection, "ann", "Ann")

    assert create_index(subject.url, name)
    assert not create_index(subject.url, name)
    with Rollbook(database_url=subject.url) as rb:
        assert [one.id for one in rb.users.list(prefix="an").items] == ["ann"]  # through the index, if it is that one
    drop_index(subject.url, name)
    assert create_index(subject.url, name)


def test_stored_keys_cost_a_write_nothing_without_their_index_and_no_call_of_a_function_with_it(
    subject: OnPostgres,
) -> None:
    visible = "rollbook.visible_attribute(cluster_root, resolved_profile, first_identified, profile, 'a.email')"
    statement = f"EXPLAIN (VERBOSE, COSTS OFF) SELECT rollbook.stored_email_key({visible}) FROM rollbook.users"

    def computed() -> str:
        return "\n".join(line for (line,) in subject.connection.execute(statement.encode()))

    assert "Output: NULL::text" in computed()
    create_index(subject.url, "prefix")
    assert "rollbook." not in computed().replace("rollbook.users", "")
    drop_index(subject.url, "prefix")
    assert "Output: NULL::text" in computed()


def test_the_functions_of_stored_keys_stay_bound_to_postgres_own_operators(subject: OnPostgres) -> None:
    bound = (
        "SELECT count(*), count(prosqlbody) FROM pg_proc"
        " WHERE pronamespace = 'rollbook'::regnamespace AND proname LIKE 'stored%'"
    )
    before = subject.connection.execute(bound).fetchone()
    for name in OPTIONAL_INDEXES:
        create_index(subject.url, name)

    assert subject.connection.execute(bound).fetchone() == before == (4, 4)
