"""The doctor's findings in a real Postgres."""

from __future__ import annotations

import time
from collections.abc import Iterator

import psycopg
import pytest
from tests.support.operations.findings import DAY, HOUR, MARKED, NO_DATABASE, microseconds, named

from rollbook_ops.doctor import Finding, Level
from rollbook_ops.doctor.postgres import examine_postgres
from rollbook_shared.domain.stamps import new_job_id
from rollbook_shared.jobs.celery_task import alias
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Delete, Identify, Trigger, UserUpdate
from rollbook_shared.limits import Limits
from rollbook_shared.settings import Settings
from rollbook_worker.maintenance.periodic import periodic_tasks
from rollbook_worker.store import PostgresStore, ReceivedJob


@pytest.fixture
def store(url: str) -> Iterator[PostgresStore]:
    store = PostgresStore(url)
    yield store
    store.close()


def look(url: str, name: str, *, ahead: float = 0.0) -> Finding:
    return named(examine_postgres(Settings(database_url=url), lambda: time.time() + ahead), name)


def test_healthy_postgres_has_no_findings(url: str) -> None:
    findings = list(examine_postgres(Settings(database_url=url, erasure_key="secret"), time.time))

    assert {finding.level for finding in findings} == {Level.OK}
    assert len(findings) == 14


def test_postgres_that_is_not_available_is_a_problem() -> None:
    found = look(NO_DATABASE, "postgres")

    assert found.level is Level.PROBLEM
    assert "refused" in found.summary


@pytest.mark.parametrize("statement", ["DROP SCHEMA rollbook CASCADE", "DELETE FROM rollbook.alembic_version"])
def test_missing_tables_are_a_problem(url: str, connection: psycopg.Connection, statement: str) -> None:
    connection.execute(statement.encode())

    found = look(url, "migrations")

    assert (found.level, found.advice) == (Level.PROBLEM, "Run `rollbook migrate`.")


@pytest.mark.parametrize(("version", "level"), [("0000", Level.PROBLEM), ("9999", Level.WARNING)])
def test_another_revision_of_the_schema_is_reported(
    url: str, connection: psycopg.Connection, version: str, level: Level
) -> None:
    connection.execute("UPDATE rollbook.alembic_version SET version_num = %s", (version,))

    found = look(url, "migrations")

    assert (found.level, version in found.summary) == (level, True)


@pytest.mark.parametrize(("late", "level"), [(0, Level.OK), (30, Level.WARNING), (HOUR, Level.PROBLEM)])
def test_overdue_deferred_jobs_are_reported(url: str, connection: psycopg.Connection, late: int, level: Level) -> None:
    insert = "INSERT INTO rollbook.deferred_jobs VALUES (%s, now() + make_interval(secs => %s), %s, '{}', 0)"
    connection.execute(insert, ("later", DAY, MARKED))
    if late:
        connection.execute(insert, ("now", -late, MARKED))

    found = look(url, "deferred jobs")

    assert found.level is level
    assert found.summary.startswith("2 jobs, 1 due" if late else "1 job, 0 due")


def test_dead_letters_are_counted_by_code(url: str, store: PostgresStore) -> None:
    store.apply([ReceivedJob.of(MARKED)], now=microseconds(ago=3 * HOUR))
    store.apply([ReceivedJob.of(f'{{"v": 9, "kind": "identify", "id": "{MARKED}"}}')], now=microseconds(ago=2 * HOUR))

    found = look(url, "dead letters")

    assert found.level is Level.WARNING
    assert found.summary == "2 dead letters (unknown_version 1, malformed 1), the newest from 2 h ago"


@pytest.mark.parametrize(("ago", "level"), [(30 * HOUR, Level.WARNING), (4 * DAY, Level.PROBLEM)])
def test_overdue_erasures_are_reported_until_maintenance_runs(
    url: str, store: PostgresStore, ago: int, level: Level
) -> None:
    at = microseconds(ago=ago)
    identify = Identify(id=new_job_id(at), occurred_at=at - 1, user=UserUpdate(id=MARKED, traits={}))
    store.apply([ReceivedJob.of(encode(identify))], now=at)
    store.apply([ReceivedJob.of(encode(Delete(id=new_job_id(at), occurred_at=at, user_id=MARKED)))], now=at)

    assert look(url, "erasure").level is level

    for task in periodic_tasks(store):
        task.work()
    assert look(url, "erasure").level is Level.OK


def test_unknown_recipients_are_reported_until_maintenance_runs(url: str, store: PostgresStore) -> None:
    at = microseconds(ago=30 * HOUR)
    trigger = Trigger(id=new_job_id(at), occurred_at=at, workflow="w", recipients=(MARKED, "other"))
    store.apply([ReceivedJob.of(encode(trigger))], now=at)

    found = look(url, "unknown recipients")

    assert (found.level, found.summary) == (Level.WARNING, "2 recipients overdue, of triggers from 30 h ago on")
    for task in periodic_tasks(store):
        task.work()
    assert look(url, "unknown recipients").level is Level.OK


def test_users_near_the_bound_are_reported_as_aliases_until_they_are_smaller(url: str) -> None:
    bounded = PostgresStore(url, max_user_bytes=100_000)
    settings = Settings(database_url=url, limits=Limits(max_user_bytes=100_000))

    def send(user_id: str, **traits: str | None) -> None:
        job = Identify(id=new_job_id(at := microseconds()), occurred_at=at, user=UserUpdate(id=user_id, traits=traits))
        bounded.apply([ReceivedJob.of(encode(job))], now=at)

    send(MARKED, k="x" * 90_000)
    send("half", k="x" * 70_000)
    send("small", k="x")

    found = named(examine_postgres(settings, time.time), "large users")

    assert found.level is Level.WARNING
    assert found.summary == f"1 user near or above 0.1 MB: {alias(MARKED)} 0.1 MB"
    send(MARKED, k=None)
    assert named(examine_postgres(settings, time.time), "large users").level is Level.OK
    bounded.close()


def test_a_late_delete_is_not_overdue(url: str, store: PostgresStore) -> None:
    job = Delete(id="late", occurred_at=microseconds(ago=4 * DAY), user_id="u1")

    store.apply([ReceivedJob.of(encode(job))], now=microseconds())

    assert look(url, "erasure").level is Level.OK


@pytest.mark.parametrize(
    ("ahead", "level"), [(0.0, Level.OK), (20.0, Level.WARNING), (-20.0, Level.WARNING), (HOUR, Level.PROBLEM)]
)
def test_a_clock_that_differs_is_reported(url: str, ahead: float, level: Level) -> None:
    assert look(url, "postgres clock", ahead=ahead).level is level


def test_a_role_without_rights_is_reported(url: str, connection: psycopg.Connection) -> None:
    connection.execute("REVOKE ALL ON SCHEMA rollbook FROM PUBLIC")
    connection.execute("DROP ROLE IF EXISTS rollbook_doctor_test")
    connection.execute("CREATE ROLE rollbook_doctor_test LOGIN PASSWORD 'x'")
    try:
        connection.execute("SET ROLE rollbook_doctor_test")
        stranger = f"{url}?options=-c%20role%3Drollbook_doctor_test"

        assert look(stranger, "migrations").level is not Level.OK
    finally:
        connection.execute("RESET ROLE")
        connection.execute("DROP ROLE rollbook_doctor_test")


def test_commits_that_do_not_last_are_reported(url: str) -> None:
    found = look(f"{url}?options=-c%20synchronous_commit%3Doff", "durability")

    assert (found.level, found.summary) == (Level.WARNING, "synchronous_commit is off")


def test_who_may_create_operators_in_public_is_named(url: str, connection: psycopg.Connection) -> None:
    assert look(url, "schema public").level is Level.OK

    connection.execute("GRANT CREATE ON SCHEMA public TO PUBLIC")

    found = look(url, "schema public")
    assert found.level is Level.WARNING
    assert found.summary.startswith("everyone may create operators")
