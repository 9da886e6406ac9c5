"""A read of the client cannot write, and its writes can."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import psycopg
import pytest
from tests.support.builders import NOW, identify

from rollbook import NotConfigured, Rollbook
from rollbook.database import Database
from rollbook_shared.jobs.codec import encode
from rollbook_worker.store import PostgresStore, ReceivedJob


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


@pytest.mark.parametrize("isolation", ["AUTOCOMMIT", "REPEATABLE READ"])
def test_a_connection_for_reads_refuses_every_write(
    database: Database, isolation: Literal["AUTOCOMMIT", "REPEATABLE READ"]
) -> None:
    with pytest.raises(NotConfigured, match="read-only"), database.connect(isolation) as connection:
        connection.execute("DELETE FROM rollbook.jobs")


@pytest.mark.parametrize("isolation", ["AUTOCOMMIT", "REPEATABLE READ"])
def test_a_connection_for_writes_is_one_transaction_and_leaves_none_behind(
    database: Database, isolation: Literal["AUTOCOMMIT", "REPEATABLE READ"]
) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero), database.connect(isolation, readonly=False) as connection:
        connection.execute("INSERT INTO rollbook.erasure_receipts VALUES ('x', 'x', '{}', now()); SELECT 1/0")

    with database.connect() as connection:
        assert connection.execute("SELECT count(*) FROM rollbook.erasure_receipts").fetchone() == (0,)
    with pytest.raises(NotConfigured, match="read-only"), database.connect() as connection:
        connection.execute("DELETE FROM rollbook.jobs")


def test_cancelling_and_dropping_write(database_url: str) -> None:
    store = PostgresStore(database_url)
    store.apply([ReceivedJob.of(encode(identify("ann", at=900, job="ahead"))), ReceivedJob.of("junk")], now=NOW)
    store.close()
    with Rollbook(database_url=database_url) as rb:
        assert rb.jobs.cancel("ahead")
        (dead,) = rb.jobs.list_dead_letters().items
        assert rb.jobs.drop(dead.id)
