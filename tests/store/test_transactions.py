"""What a transaction promises: when it has ended well, Postgres has committed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

import psycopg
import pytest
from psycopg import Cursor

from rollbook_shared.errors import Unavailable
from rollbook_worker.store.transactions import Connections, Transactions

_FIVE = timedelta(seconds=5)


@pytest.fixture
def transactions(database_url: str) -> Iterator[Transactions]:
    transactions = Transactions(database_url, lock=_FIVE, statement=_FIVE)
    yield transactions
    transactions.close()


def test_an_unnoticed_failure_is_not_taken_for_a_commit(transactions: Transactions) -> None:
    def work(cursor: Cursor, now: int) -> str:
        with suppress(psycopg.Error):
            cursor.execute("SELECT 1/0")
        return "done"

    with pytest.raises(Unavailable):
        transactions.run(work)
    assert transactions.run(lambda cursor, now: "done") == "done"


def test_a_connection_that_broke_unnoticed_has_not_committed(transactions: Transactions) -> None:
    with pytest.raises(Unavailable):
        transactions.run(lambda cursor, now: cursor.connection.close())


def test_a_transaction_left_open_swallows_no_later_one(database_url: str) -> None:
    connections = Connections(database_url, lock=_FIVE, statement=_FIVE)
    left_open = connections.get()
    left_open.execute("BEGIN")

    connection = connections.get()

    assert left_open.closed
    assert connection.execute("SELECT now() = statement_timestamp()").fetchone() == (True,)
    connections.close()


def test_each_thread_has_a_connection_of_its_own(database_url: str) -> None:
    connections = Connections(database_url, lock=_FIVE, statement=_FIVE)
    of_others: list[psycopg.Connection] = []
    thread = threading.Thread(target=lambda: of_others.append(connections.get()))
    thread.start()
    thread.join()

    assert of_others
    assert connections.get() is connections.get()
    assert connections.get() is not of_others[0]
    of_others[0].close()
    connections.close()
