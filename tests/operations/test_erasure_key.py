"""Workers, maintenance and the doctor compare the key of erasure receipts with the database's, and name the default."""

from __future__ import annotations

import time

import psycopg
import pytest
from tests.support.operations.findings import named
from tests.support.waits import DEADLINE_SECONDS, wait_until
from tests.support.worker_processes import Workers

from rollbook import Rollbook
from rollbook_ops.doctor import Finding, Level
from rollbook_ops.doctor.postgres import examine_postgres
from rollbook_shared.database.erasure_keys import DEFAULT_KEY_WARNING, WRONG_KEY, WRONG_KEY_ADVICE
from rollbook_shared.settings import Settings
from rollbook_worker.store import PostgresStore

REJECTION = f"rollbook: {WRONG_KEY}. {WRONG_KEY_ADVICE}"


@pytest.fixture
def _key_of_others(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("DELETE FROM rollbook.erasure_keys")
    store = PostgresStore(database_url, erasure_keys=["theirs"])
    store.now()
    store.close()


def look(url: str, key: str | None = None, previous: str = "") -> Finding:
    settings = Settings(database_url=url, erasure_previous_keys=previous)
    if key is not None:
        settings = Settings(database_url=url, erasure_key=key, erasure_previous_keys=previous)
    return named(examine_postgres(settings, time.time), "erasure key")


@pytest.mark.usefixtures("_key_of_others")
@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_a_worker_with_another_key_does_not_start(workers: Workers, pool: str) -> None:
    worker = workers.spawn(pool=pool, ROLLBOOK_ERASURE_KEY="mine-4711")

    assert worker.wait(DEADLINE_SECONDS) == 1
    assert REJECTION in workers.log()
    assert "mine-4711" not in workers.log()
    assert "Traceback" not in workers.log()


@pytest.mark.usefixtures("_key_of_others")
def test_maintenance_with_another_key_does_not_start(workers: Workers) -> None:
    maintenance = workers.start_maintenance(ROLLBOOK_ERASURE_KEY="mine-4711")

    assert maintenance.wait(DEADLINE_SECONDS) != 0
    assert REJECTION in workers.log("maintenance")
    assert "Traceback" not in workers.log("maintenance")


@pytest.mark.usefixtures("_key_of_others")
def test_a_worker_with_the_previous_key_works(workers: Workers, rb: Rollbook) -> None:
    workers.start(ROLLBOOK_ERASURE_KEY="mine-4711", ROLLBOOK_ERASURE_PREVIOUS_KEYS="older,theirs")

    assert rb.users.identify("ann", {}).wait(DEADLINE_SECONDS).state == "applied"
    assert DEFAULT_KEY_WARNING not in workers.log()


def test_a_worker_and_maintenance_name_the_default_key_once(workers: Workers, rb: Rollbook, database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("DELETE FROM rollbook.erasure_keys")
    workers.start(pool="prefork")
    workers.start_maintenance()

    assert rb.users.identify("bo", {}).wait(DEADLINE_SECONDS).state == "applied"
    wait_until(lambda: DEFAULT_KEY_WARNING in workers.log("maintenance"), what="maintenance naming it")
    assert workers.log().count(DEFAULT_KEY_WARNING) == 1
    assert workers.log("maintenance").count(DEFAULT_KEY_WARNING) == 1


@pytest.mark.usefixtures("_key_of_others")
def test_the_doctor_compares_the_keys(database_url: str) -> None:
    other = look(database_url, "mine-4711")
    assert (other.level, other.summary, other.advice) == (Level.PROBLEM, WRONG_KEY, WRONG_KEY_ADVICE)

    assert look(database_url, "theirs").level is Level.OK
    assert look(database_url, "mine-4711", "older,theirs").level is Level.OK
    assert look(database_url, "theirs", "mine-4711").level is Level.OK


def test_the_doctor_names_the_default_key(fresh_database_url: str) -> None:
    found = look(fresh_database_url)

    assert (found.level, found.summary) == (Level.WARNING, DEFAULT_KEY_WARNING)
    assert look(fresh_database_url, "secret").level is Level.OK


def test_the_doctor_records_no_key(fresh_database_url: str) -> None:
    look(fresh_database_url, "one")

    assert look(fresh_database_url, "two").level is Level.OK
