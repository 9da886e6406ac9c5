"""The client's connections to Postgres: bounded, replaced when they are lost, and closed at the end."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta

import psycopg
import pytest
from tests.support.waits import DEADLINE_SECONDS, wait_until

from rollbook import PoolLimits, Rollbook, Unavailable
from rollbook.connection_pool import Connection, ConnectionPool
from rollbook.database import Database
from rollbook_shared.database.timeouts import timeout_connection

Connect = Callable[[], Connection]


@pytest.fixture
def opened(database_url: str) -> Iterator[tuple[Connect, list[Connection]]]:
    """How to connect, and all connections that were opened so far."""
    connections: list[Connection] = []
    connection_class = timeout_connection(timedelta(seconds=DEADLINE_SECONDS))

    def connect() -> Connection:
        connections.append(connection_class.connect(database_url, autocommit=True))
        return connections[-1]

    yield connect, connections
    for connection in connections:
        connection.close()


Opened = tuple[Connect, list[Connection]]


def limits(*, max_connections: int = 15, max_idle_connections: int = 5, seconds: float = 10.0) -> PoolLimits:
    wait = timedelta(seconds=seconds)
    return PoolLimits(max_connections=max_connections, max_idle_connections=max_idle_connections, connection_wait=wait)


def test_a_connection_is_used_again(opened: Opened) -> None:
    connect, connections = opened
    pool = ConnectionPool(connect)

    for _ in range(3):
        with pool.lend() as connection:
            connection.execute("SELECT 1")

    assert len(connections) == 1


def test_a_pool_whose_connections_are_all_in_use_says_so(opened: Opened) -> None:
    pool = ConnectionPool(opened[0], limits(max_idle_connections=1, max_connections=2, seconds=0.05))

    with pool.lend(), pool.lend(), pytest.raises(Unavailable, match="all 2 connections of this client"), pool.lend():
        pass

    with pool.lend(), pool.lend():
        pass


def test_a_client_has_the_pool_of_its_settings_and_the_error_names_them(database_url: str) -> None:
    env = {
        "ROLLBOOK_DATABASE_URL": database_url,
        "ROLLBOOK_MAX_CONNECTIONS": "1",
        "ROLLBOOK_MAX_IDLE_CONNECTIONS": "0",
        "ROLLBOOK_CONNECTION_WAIT_SECONDS": "0.01",
    }
    given = limits(max_connections=1, max_idle_connections=0, seconds=0.01)

    for rb in (Rollbook.from_env(env), Rollbook(database_url=database_url, pool=given)):
        with rb:
            database = rb._context.database()
            assert isinstance(database, Database)
            with database.connect(), pytest.raises(Unavailable) as failure:
                rb.users.list()
            assert not database._pool._idle
        assert "all 1 connections of this client" in str(failure.value)
        assert "ROLLBOOK_MAX_CONNECTIONS" in str(failure.value)
        assert "ROLLBOOK_CONNECTION_WAIT_SECONDS" in str(failure.value)


def test_only_some_connections_are_kept(opened: Opened) -> None:
    connect, connections = opened
    pool = ConnectionPool(connect, limits(max_idle_connections=1))

    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(pool.lend())

    assert sorted(connection.closed for connection in connections) == [False, True, True]
    pool.close()
    assert all(connection.closed for connection in connections)


def test_a_connection_that_the_server_ended_is_replaced(opened: Opened, database_url: str) -> None:
    connect, connections = opened
    pool = ConnectionPool(connect)
    with pool.lend() as connection:
        pid = connection.info.backend_pid
    with psycopg.connect(database_url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))

    with pool.lend() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)

    assert len(connections) == 2


def test_a_connection_that_was_idle_for_long_is_asked(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    connect, connections = opened
    pool = ConnectionPool(connect)
    with pool.lend():
        pass
    monkeypatch.setattr("rollbook.connection_pool.TRUSTED_SECONDS", -1.0)
    monkeypatch.setattr(type(connections[0]), "execute", _fail)

    with pool.lend() as connection:
        assert connection is connections[1]

    assert connections[0].closed


def _fail(*arguments: object) -> None:
    raise psycopg.OperationalError("gone")


def test_a_connection_that_is_left_in_a_transaction_is_not_used_again(opened: Opened) -> None:
    connect, connections = opened
    pool = ConnectionPool(connect)

    with pool.lend() as connection:
        connection.execute("BEGIN")

    assert connections[0].closed
    with pool.lend() as connection:
        connection.execute("SELECT 1")


def test_a_failed_connection_takes_no_place(database_url: str) -> None:
    def fail() -> Connection:
        raise psycopg.OperationalError("away")

    pool = ConnectionPool(fail, limits(max_connections=1, seconds=0))

    for _ in range(3):
        with pytest.raises(psycopg.OperationalError), pool.lend():
            pass


def test_a_snapshot_refuses_writes_and_sees_one_state(database_url: str) -> None:
    database = Database(database_url, timedelta(seconds=5))

    with database.connect("REPEATABLE READ") as connection:
        assert connection.execute("SHOW transaction_read_only").fetchone() == ("on",)
        assert connection.execute("SHOW transaction_isolation").fetchone() == ("repeatable read",)
    with database.connect() as connection:
        assert connection.execute("SHOW transaction_isolation").fetchone() == ("read committed",)
    database.close()


def test_a_client_that_is_not_closed_ends_without_a_warning(database_url: str) -> None:
    script = f"import rollbook; rb = rollbook.Rollbook(database_url={database_url!r});print(rb.users.list().items)"

    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_SECONDS,
    )

    assert (done.stdout, done.stderr) == ("()\n", "")


def test_a_thread_that_waits_gets_the_connection_that_is_returned(opened: Opened) -> None:
    pool = ConnectionPool(opened[0], limits(max_connections=1, seconds=DEADLINE_SECONDS))

    def read() -> tuple[int]:
        with pool.lend() as connection:
            row: tuple[int] | None = connection.execute("SELECT 1").fetchone()
            assert row is not None
            return row

    with ThreadPoolExecutor(8) as threads:
        assert [each.result() for each in [threads.submit(read) for _ in range(40)]] == [(1,)] * 40
    wait_until(lambda: pool._lent == 0, what="all connections to be returned")
