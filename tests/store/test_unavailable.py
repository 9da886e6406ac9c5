"""When Postgres is in no state to keep a job, the store says `Unavailable`, so that the job is tried again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
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
        PostgresStore("postgresql://unknown@127.0.0.1:1/nothing").apply(JOB, now=NOW)


def test_a_database_that_is_not_migrated_yet_is_unavailable(subject: OnPostgres) -> None:
    subject.connection.execute("DROP SCHEMA rollbook CASCADE")

    with pytest.raises(Unavailable):
        subject.store.apply(JOB, now=NOW)


def test_a_job_that_can_be_neither_entered_nor_found_is_tried_again_later(
    subject: OnPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is wrong with ids in this session: no transaction stays open for ever."""
    subject.store.apply(JOB, now=NOW)
    asked: list[set[str]] = []

    def find_none(cursor: object, ids: set[str]) -> dict[str, object]:
        asked.append(ids)
        return {}

    monkeypatch.setattr("rollbook_worker.store.inbox._standing", find_none)

    with pytest.raises(Unavailable, match="1 jobs again and again"):
        subject.store.apply(JOB, now=NOW)

    assert 1 < len(asked) < 10
