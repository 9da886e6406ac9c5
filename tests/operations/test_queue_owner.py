"""Processes of one database and queues of another: nothing is taken or sent, and each process says why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
import redis
from tests.support.brokers import connect_to_broker
from tests.support.operations.findings import named
from tests.support.operations.probe import Probe
from tests.support.waits import DEADLINE_SECONDS, wait_until
from tests.support.worker_processes import Workers
from typer.testing import CliRunner

from rollbook import Rollbook
from rollbook.outbox import create_table
from rollbook_ops.cli.app import app
from rollbook_ops.doctor import Level, examine
from rollbook_ops.relay.relay import Relay
from rollbook_shared.database.store_id import read_store_id
from rollbook_shared.errors import NotConfigured, Unavailable
from rollbook_shared.queue_owner import OWNER_KEY
from rollbook_shared.settings import Settings
from rollbook_worker.store.store_id import StoreId

OTHER = str(uuid4())
WAITING = "the process is waiting, and takes no jobs"


@pytest.fixture
def client(broker_url: str) -> Iterator[redis.Redis]:
    with connect_to_broker(broker_url) as client:
        client.flushdb()
        yield client
        client.flushdb()


@pytest.fixture
def settings(database_url: str, broker_url: str) -> Settings:
    return Settings(database_url=database_url, broker_url=broker_url)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, database_url: str, broker_url: str) -> CliRunner:
    monkeypatch.setenv("ROLLBOOK_DATABASE_URL", database_url)
    monkeypatch.setenv("ROLLBOOK_BROKER_URL", broker_url)
    return CliRunner()


def wait_for_beats(health_file: Path, number: int) -> None:
    """Wait until the health file was written so many times."""
    for _ in range(number):
        written = health_file.stat().st_mtime_ns
        wait_until(lambda: health_file.stat().st_mtime_ns != written, what="a beat")  # noqa: B023


@pytest.mark.parametrize("pool", ["threads", "prefork", "solo"])
def test_a_worker_leaves_queues_of_another_database_alone_until_they_are_its_own(
    client: redis.Redis, rb: Rollbook, workers: Workers, health_file: Path, probe: Probe, run: CliRunner, pool: str
) -> None:
    client.set(OWNER_KEY, OTHER)
    job = rb.users.identify(f"ann-{pool}", {})
    workers.start(pool, pool=pool, ROLLBOOK_HEALTH_FILE=str(health_file))

    wait_until(lambda: "taking no jobs" in workers.log(pool), what="saying why")
    wait_for_beats(health_file, 2)  # until then the file may say that the worker waited while it started
    wait_until(lambda: probe.trouble(ready=True) == WAITING, what="being alive and not ready")
    assert client.llen("default") == 1
    assert client.get(OWNER_KEY) == OTHER.encode()
    assert workers.log(pool).count("taking no jobs") == 1

    assert run.invoke(app, ["broker", "adopt", "--yes"]).exit_code == 0

    assert job.wait(DEADLINE_SECONDS).state == "applied"
    wait_until(lambda: probe.trouble(ready=True) is None, what="being ready")


def test_a_worker_notes_its_database_again_when_redis_was_emptied(
    client: redis.Redis, rb: Rollbook, workers: Workers, database_url: str
) -> None:
    workers.start()
    rb.users.identify("bo", {}).wait(DEADLINE_SECONDS)
    assert client.get(OWNER_KEY) == read_store_id(database_url).encode()

    client.flushdb()

    assert rb.users.identify("bo", {"n": 1}).wait(DEADLINE_SECONDS).state == "applied"
    assert client.get(OWNER_KEY) == read_store_id(database_url).encode()


def test_maintenance_is_not_ready_and_does_its_tasks(
    client: redis.Redis, workers: Workers, health_file: Path, probe: Probe, database_url: str
) -> None:
    client.set(OWNER_KEY, OTHER)
    workers.start_maintenance(ROLLBOOK_HEALTH_FILE=str(health_file))

    wait_until(lambda: "belong to another database" in workers.log("maintenance"), what="saying why")
    wait_for_beats(health_file, 2)
    wait_until(lambda: probe.trouble(ready=True) == WAITING, what="being alive and not ready")
    assert "Traceback" not in workers.log("maintenance")

    client.delete(OWNER_KEY)
    wait_until(lambda: probe.trouble(ready=True) is None, what="being ready")


def test_a_relay_sends_nothing_to_queues_of_another_database(
    client: redis.Redis, fresh_database_url: str, broker_url: str
) -> None:
    with psycopg.connect(fresh_database_url) as connection:
        create_table(connection.execute)
        Rollbook().outbox(connection).users.identify("cy", {})
    client.set(OWNER_KEY, OTHER)
    relay = Relay.from_settings(Settings(database_url=fresh_database_url, broker_url=broker_url))

    with pytest.raises(NotConfigured, match="sending no jobs: the queues in Redis belong to another database"):
        relay.send()
    assert client.llen("default") == 0

    client.set(OWNER_KEY, read_store_id(fresh_database_url))
    assert relay.send() == 1
    assert client.llen("default") == 1
    relay.close()


def test_the_doctor_names_queues_of_another_database(client: redis.Redis, settings: Settings) -> None:
    assert named(examine(settings), "queue owner").level is Level.OK

    client.set(OWNER_KEY, OTHER)
    finding = named(examine(settings), "queue owner")
    assert finding.level is Level.PROBLEM
    assert OTHER[:8] in finding.summary
    assert "rollbook broker adopt" in finding.advice
    assert named(examine(settings), "other keys").level is Level.OK

    client.set(OWNER_KEY, read_store_id(settings.need_database_url()))
    assert named(examine(settings), "queue owner").summary == "this database"


def test_the_command_shows_the_owner_and_takes_over(
    client: redis.Redis, run: CliRunner, database_url: str, rb: Rollbook
) -> None:
    mine = read_store_id(database_url)
    rb.users.identify("dee", {})
    none_yet = run.invoke(app, ["broker", "show", "--json"])
    assert (none_yet.exit_code, json.loads(none_yet.stdout)["owner"]) == (0, None)

    client.set(OWNER_KEY, OTHER)
    shown = run.invoke(app, ["broker", "show", "--json"])
    assert shown.exit_code == 1
    assert json.loads(shown.stdout) == {
        "owner": OTHER,
        "this database": mine,
        "default": 1,
        "bulk": 0,
        "in flight": 0,
    }

    assert run.invoke(app, ["broker", "adopt"]).exit_code == 2
    assert client.get(OWNER_KEY) == OTHER.encode()
    assert run.invoke(app, ["broker", "adopt", "--yes"]).exit_code == 0
    assert client.get(OWNER_KEY) == mine.encode()
    assert run.invoke(app, ["broker", "show"]).exit_code == 0


def test_the_id_is_read_again_until_postgres_answers() -> None:
    errors = [Unavailable("away"), NotConfigured("not migrated")]

    def read() -> str:
        if errors:
            raise errors.pop()
        return "the-id"

    store_id = StoreId(read)

    wait_until(lambda: store_id() == "the-id", what="knowing it")
    assert errors == []
