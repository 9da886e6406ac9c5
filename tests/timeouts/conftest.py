"""Databases that are locked and servers that are frozen."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import timedelta

import psutil
import psycopg
import pytest
from tests.conftest import migrate

from rollbook_ops.devstack import Servers
from rollbook_worker.store import PostgresStore

SHORT = timedelta(milliseconds=300)


@pytest.fixture
def impatient() -> Callable[[str], PostgresStore]:
    """A store that waits for nothing for long."""
    return lambda url: PostgresStore(url, lock_timeout=SHORT, statement_timeout=2 * SHORT)


@pytest.fixture
def locked(database_url: str) -> Callable[[str], AbstractContextManager[None]]:
    """Another transaction that holds a lock on what the statement names."""

    @contextmanager
    def lock(statement: str) -> Iterator[None]:
        with psycopg.connect(database_url) as other:
            other.execute(statement.encode())
            yield

    return lock


@pytest.fixture(scope="module")
def own_database_url(own_servers: Servers) -> str:
    """A migrated database on the server that the module may freeze."""
    migrate(own_servers.database_url)
    return own_servers.database_url


@contextmanager
def frozen(server_pid: int) -> Iterator[None]:
    """Stop a server and all its processes, as a machine does whose disk is stuck; then let it go on."""
    server = psutil.Process(server_pid)
    pids = [server_pid, *(child.pid for child in server.children(recursive=True))]
    _send(signal.SIGSTOP, pids)
    try:
        yield
    finally:
        _send(signal.SIGCONT, pids)


def _send(what: signal.Signals, pids: Iterable[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):  # a session of an earlier test may just have ended
            os.kill(pid, what)
