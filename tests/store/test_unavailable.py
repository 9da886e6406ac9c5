"""When Postgres is in no state to keep a job, the store says `Unavailable`, so that the job is tried again."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from psycopg.sql import SQL, Identifier
from tests.support.builders import NOW, identify
from tests.support.stores import OnPostgres, arrive

from rollbook_shared.errors import Unavailable
from rollbook_shared.jobs.codec import encode
from rollbook_worker.store import PostgresStore, ReceivedJob

JOB = [ReceivedJob.of(encode(identify("a", at=1)))]


@pytest.fixture
def subject(fresh_database_url: str) -> Iterator[OnPostgres]:
    subject = OnPostgres(fresh_database_url)
    yield subject
    subject.close()


def test_a_connection_that_was_cut_while_idle_is_replaced(subject: OnPostgres) -> None:
    arrive(subject, encode(identify("a", at=1)), now=NOW)
    subject.connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )

    with pytest.raises(Unavailable):
        arrive(subject, encode(identify("b", at=1)), now=NOW)
    arrive(subject, encode(identify("b", at=1)), now=NOW)

    assert set(subject.world()["users"]) == {"a", "b"}


def test_a_server_that_cannot_be_reached_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        PostgresStore("postgresql://nobody@127.0.0.1:1/nothing").apply(JOB, now=NOW)


def test_a_read_only_server_as_after_a_failover_is_unavailable(subject: OnPostgres) -> None:
    name = Identifier(urlsplit(subject.url).path[1:])
    subject.connection.execute(SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(name))

    with pytest.raises(Unavailable):
        PostgresStore(subject.url).apply(JOB, now=NOW)

    subject.connection.execute("SET default_transaction_read_only = off")
    subject.connection.execute(SQL("ALTER DATABASE {} RESET default_transaction_read_only").format(name))
    assert [outcome.state.value for outcome in PostgresStore(subject.url).apply(JOB, now=NOW)] == ["applied"]


def test_a_database_that_is_not_migrated_yet_is_unavailable(subject: OnPostgres) -> None:
    subject.connection.execute("DROP SCHEMA rollbook CASCADE")

    with pytest.raises(Unavailable):
        subject.store.apply(JOB, now=NOW)
