"""The migration that partitions the history: online, for rows that are there, and with the rights that were granted."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from alembic import command
from psycopg.sql import SQL, Identifier
from tests.support.builders import merge, trigger, user
from tests.support.stores import OnPostgres
from tests.support.waits import DEADLINE_SECONDS

from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Job
from rollbook_worker.migrations import runner
from rollbook_worker.store import PostgresStore, ReceivedJob
from rollbook_worker.store.history_months import PARTITIONED

AT = 1
ROLE = "rollbook_test_grantee"


@pytest.fixture
def old(own_empty_database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database of the release before."""
    with monkeypatch.context() as patched:
        patched.setattr(command, "upgrade", _upgrade_to("0001"))
        runner.migrate(own_empty_database)
    return own_empty_database


def _upgrade_to(revision: str) -> Any:
    upgrade = command.upgrade
    return lambda config, head, **options: upgrade(config, revision, **options)


def jobs_of(worker: int, number: int) -> list[Job]:
    return [trigger("hello", [user(f"u{worker}"), "bo"], at=AT, plus=number, job=f"{worker}-{number}")]


def apply(store: PostgresStore, jobs: list[Job]) -> None:
    # at the time of the jobs: of late ones a worker asks for the oldest partition, which a database before has not
    now = max(job.occurred_at for job in jobs)
    assert {outcome.state.value for outcome in store.apply([ReceivedJob.of(encode(job)) for job in jobs], now=now)} == {
        "applied"
    }


def test_rows_and_rights_stay_while_workers_write_and_readers_read(old: str) -> None:
    stopped, started = threading.Event(), threading.Semaphore(0)
    subject = OnPostgres(old)
    subject.connection.execute(SQL("CREATE ROLE {}").format(Identifier(ROLE)))
    granted = SQL("GRANT SELECT ON rollbook.messages, rollbook.triggers TO {}").format(Identifier(ROLE))
    subject.connection.execute(granted)
    apply(subject.store, [*jobs_of(9, 1), *jobs_of(9, 2), merge("u9", "u8", at=AT, plus=3)])
    before = subject.world()

    def write(worker: int) -> int:
        store = PostgresStore(old)
        number = 0
        while not stopped.is_set():
            number += 1
            apply(store, jobs_of(worker, number))
            started.release()
        store.close()
        return number

    def read() -> None:
        with psycopg.connect(old, autocommit=True) as connection:
            while not stopped.is_set():
                rows = connection.execute("SELECT workflow FROM rollbook.owned_messages WHERE owner = 'u9'").fetchall()
                assert rows == [("hello",), ("hello",)]
            started.release()

    with ThreadPoolExecutor(3) as threads:
        running = [threads.submit(write, worker) for worker in range(2)]
        reading = threads.submit(read)
        try:
            for _ in range(10):
                assert started.acquire(timeout=DEADLINE_SECONDS)
            runner.migrate(old)
            for _ in range(10):
                assert started.acquire(timeout=DEADLINE_SECONDS)
        finally:
            stopped.set()
        written = sum(each.result() for each in running)
        reading.result()

    world = subject.world()
    assert {id_: world["messages"][id_] for id_ in before["messages"]} == before["messages"]
    assert {table: rows(subject, table) for table in PARTITIONED} == {
        "triggers": written + 2,
        "activities": 2 * (written + 2),
        "messages": 2 * (written + 2),
    }
    assert rights(subject) == {("messages", "SELECT"), ("triggers", "SELECT")}
    subject.connection.execute(SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(Identifier(ROLE)))
    subject.close()


def test_jobs_from_before_applied_again_change_nothing(old: str) -> None:
    subject = OnPostgres(old)
    jobs: list[Job] = [*jobs_of(1, 1), *jobs_of(2, 2), merge("u1", "u2", at=AT, plus=3)]
    apply(subject.store, jobs)
    before = subject.world()
    subject.connection.execute("DELETE FROM rollbook.jobs")

    runner.migrate(old)
    apply(subject.store, jobs)

    assert subject.world() == before
    subject.close()


def rows(subject: OnPostgres, table: str) -> int:
    return subject.connection.execute(SQL("SELECT FROM {}").format(Identifier("rollbook", table))).rowcount


def rights(subject: OnPostgres) -> set[tuple[str, str]]:
    found = subject.connection.execute(
        "SELECT relname, privilege_type FROM pg_class, aclexplode(relacl)"
        " WHERE relkind = 'p' AND grantee = to_regrole(%s)::oid",
        (ROLE,),
    )
    return {(name, privilege) for name, privilege in found}
