"""Redis without persistence is killed with jobs in it and starts empty: every job is still applied."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
import redis
from tests.support.brokers import broker_program, connect_to_broker
from tests.support.databases import migrate
from tests.support.python_processes import run_python, spawn_python
from tests.support.waits import wait_until
from tests.support.worker_processes import Workers

from rollbook import Rollbook
from rollbook.outbox import create_table
from rollbook_ops.devstack import Servers, processes

JOBS = 600
LATE = 50


@pytest.fixture(scope="module")
def forgetful_servers(starts_servers: None) -> Iterator[Servers]:
    with Servers(durable=False, append_only=False, valkey_program=broker_program()) as servers:
        migrate(servers.database_url)
        with psycopg.connect(servers.database_url) as connection:
            create_table(connection.execute)
        yield servers


@pytest.fixture
def workers(forgetful_servers: Servers, tmp_path: Path) -> Iterator[Workers]:
    workers = Workers(forgetful_servers.database_url, forgetful_servers.broker_url, tmp_path)
    yield workers
    workers.stop()


def start_relay(servers: Servers, log: Path) -> subprocess.Popen[bytes]:
    given = {
        "ROLLBOOK_DATABASE_URL": servers.database_url,
        "ROLLBOOK_BROKER_URL": servers.broker_url,
        "ROLLBOOK_OUTBOX_RESEND_SECONDS": "2",
        "ROLLBOOK_OUTBOX_KEEP_SECONDS": "1",
    }
    return spawn_python(["-m", "rollbook_ops.relay"], log=log, env=os.environ | given)


def count(servers: Servers, table: str) -> int:
    with psycopg.connect(servers.database_url) as connection:
        (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone() or (0,)
        return int(count)


def queued(servers: Servers) -> int:
    with suppress(redis.RedisError), connect_to_broker(servers.broker_url) as client:
        return int(client.llen("default"))
    return 0


def identify(servers: Servers, numbers: range) -> None:
    rb = Rollbook()
    with psycopg.connect(servers.database_url) as connection:
        for number in numbers:
            rb.outbox(connection).users.identify(f"ann-{number}@example.com", {"n": number})
            connection.commit()


@pytest.mark.slow
def test_killing_a_redis_without_persistence_loses_no_job(
    forgetful_servers: Servers, workers: Workers, tmp_path: Path
) -> None:
    servers = forgetful_servers
    worker = workers.start(threads=1)
    log = tmp_path / "relay.log"
    relay = start_relay(servers, log)
    try:
        identify(servers, range(50))
        wait_until(lambda: count(servers, "rollbook.jobs") > 20, what="the first jobs")
        os.kill(worker.pid, signal.SIGSTOP)
        identify(servers, range(50, JOBS))
        wait_until(lambda: queued(servers) >= 400, what="jobs in Redis")

        servers.valkey.kill()
        identify(servers, range(JOBS, JOBS + LATE))
        os.kill(worker.pid, signal.SIGCONT)
        wait_until(lambda: "sending" in log.read_text(), what="the relay noticing")
        assert count(servers, "rollbook_outbox") >= JOBS + LATE - 50
        servers.valkey.start()

        wait_until(lambda: count(servers, "rollbook_outbox") == 0, what="every job decided")
        assert count(servers, "rollbook.jobs") == JOBS + LATE
        with Rollbook(database_url=servers.database_url) as rb:
            assert sorted(user.properties["n"] for user in rb.users.all()) == list(range(JOBS + LATE))
    finally:
        status = processes.stop(relay, by=signal.SIGTERM)

    assert status == 0
    output = log.read_text()
    assert output.count("relay: send: the broker did not take") <= 2
    assert "relay: stopped" in output
    assert "ann-" not in output


def test_a_relay_waits_for_its_servers_and_stops_on_a_signal(tmp_path: Path) -> None:
    log = tmp_path / "relay.log"
    nowhere = {
        "ROLLBOOK_DATABASE_URL": "postgresql://unknown@127.0.0.1:1/none",
        "ROLLBOOK_BROKER_URL": "redis://127.0.0.1:1/0",
    }
    relay = spawn_python(["-m", "rollbook_ops.relay"], log=log, env=os.environ | nowhere)
    try:
        wait_until(lambda: log.exists() and log.read_text().count("trying again") >= 2, what="both halves failing")
    finally:
        status = processes.stop(relay, by=signal.SIGTERM)

    assert status == 0
    assert log.read_text().count("trying again") == 2


def test_a_relay_without_settings_names_them(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ROLLBOOK_")}

    done = run_python("-m", "rollbook_ops.relay", env=environment)

    assert done.returncode == 2
    assert "ROLLBOOK_DATABASE_URL is not set" in done.stderr
