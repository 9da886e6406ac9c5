"""Each process works as its user of deploy/redis.acl, which may do nothing else, on each make of broker."""

from __future__ import annotations

import os
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
from celery import Celery
from redis.exceptions import NoPermissionError
from tests.support.brokers import REDIS, REDIS_NEEDED, broker_program
from tests.support.operations.findings import named
from tests.support.privacy.acl_broker import AclBroker
from tests.support.privacy.roles import Login
from tests.support.python_processes import spawn_python
from tests.support.server.endpoint_calls import ALL, REGISTRY, call_every_endpoint
from tests.support.server.running_server import SEGMENT_KEY, RunningServer, run_server
from tests.support.waits import DEADLINE_SECONDS, wait_until
from tests.support.worker_processes import Workers

from rollbook import Rollbook
from rollbook_ops.devstack import processes
from rollbook_ops.devstack.endpoint import LOOPBACK, free_port
from rollbook_ops.doctor import Level, examine
from rollbook_ops.relay.relay import Relay
from rollbook_server.settings import ServerSettings
from rollbook_shared.observability.inspection import find_workers
from rollbook_shared.queue_owner import OWNER_KEY
from rollbook_shared.settings import Settings
from rollbook_worker.maintenance.gauges import ServerGauges
from rollbook_worker.maintenance.measurement import redis_figures
from rollbook_worker.maintenance.queue_owner import check_queue_owner

HARMFUL: Final[tuple[tuple[str, ...], ...]] = (
    ("FLUSHALL",),
    ("FLUSHDB",),
    ("KEYS", "*"),
    ("CONFIG", "SET", "appendonly", "no"),
    ("ACL", "SETUSER", "mine", "on"),
    ("SHUTDOWN",),
    ("CLIENT", "KILL", "TYPE", "normal"),
    ("MONITOR",),
    ("REPLICAOF", "NO", "ONE"),
    ("SCRIPT", "FLUSH"),
    ("FUNCTION", "LIST"),
    ("LRANGE", "default", "0", "-1"),
    ("HGETALL", "unacked"),
    ("HVALS", "unacked"),
    ("GET", "another:application"),
    ("SET", "another:application", "x"),
    ("PUBLISH", "another:channel", "x"),
    ("SUBSCRIBE", "another:channel"),
)
"""Denied to every user but the administrator."""
OF_WORKERS: Final[tuple[tuple[str, ...], ...]] = (
    ("RPOP", "default"),
    ("LPOP", "default"),
    ("DEL", "default"),
    ("HGET", "unacked", "tag"),
    ("HSET", "unacked", "tag", "x"),
    ("ZADD", "unacked_index", "0", "tag"),
    ("LPUSH", "dead_letters", "x"),
    ("SET", "rollbook.store", "x"),
    ("EVAL", "return 1", "0"),
    ("PUBLISH", "/0.celery.pidbox", "x"),
    ("PUBLISH", "/0.celeryev/worker.heartbeat", "x"),
    ("PSUBSCRIBE", "/0.celeryev/*"),
    ("INFO",),
    ("CONFIG", "GET", "*"),
    ("SCAN", "0"),
    ("LLEN", "default"),
)
"""Denied to all who only publish."""


@pytest.fixture(scope="module", params=["valkey", pytest.param("redis", marks=REDIS_NEEDED)])
def acl(
    request: pytest.FixtureRequest, starts_servers: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AclBroker]:
    program = Path(REDIS or "") if request.param == "redis" else broker_program()
    broker = AclBroker(program, tmp_path_factory.mktemp("acl"))
    yield broker
    broker.stop()


@pytest.fixture
def running(acl: AclBroker, login: Login, owner_url: str, tmp_path: Path) -> Iterator[Workers]:
    """A worker and maintenance with the least rights in Postgres and in Redis."""
    with acl.client() as admin:
        admin.flushdb()
        admin.acl_log_reset()
    workers = Workers(login("rollbook_worker"), acl.url("rollbook_worker"), tmp_path)
    workers.spawn(threads=2)
    workers.start_maintenance(ROLLBOOK_BROKER_URL=acl.url("rollbook_maintenance"))
    yield workers
    workers.stop()


def denied(acl: AclBroker) -> set[tuple[str, str]]:
    """What processes of ours tried and may not do: user and command, key or channel."""
    with acl.client() as admin:
        entries: list[dict[str, Any]] = admin.acl_log()
    found = {(entry["username"], entry["object"]) for entry in entries}
    # redis-py sends its name, where it may
    return {(user, what) for user, what in found if what not in ("client|setinfo", "client")}


def test_jobs_are_applied_with_the_least_rights_everywhere(
    acl: AclBroker, running: Workers, login: Login, owner_url: str
) -> None:
    reader = login("rollbook_reader")
    with Rollbook(database_url=reader, broker_url=acl.url("rollbook_publisher")) as rb:
        jobs = [
            rb.users.identify("ann", {"email": "ann@example.com"}),
            rb.users.bulk_identify([{"id": "guest"}, {"id": "bo"}]),
            rb.users.set_preferences("ann", "default", {"workflows": {"w": False}}),
            rb.workflows.trigger("hello", ["guest", {"id": "cy"}], actor="bo"),
            rb.users.merge("ann", "guest"),
            rb.users.delete("bo"),
        ]
        assert {job.wait(DEADLINE_SECONDS).state for job in jobs} == {"applied"}
        assert rb.users.get("ann").email == "ann@example.com"
        assert rb.messages.list("ann").items
    with acl.client() as admin:
        admin.lpush("default", "no message")
        wait_until(lambda: not admin.llen("default") and not admin.hlen("unacked"), what="the dead letter")
        assert admin.exists(OWNER_KEY)
        wait_until(lambda: find_workers(admin), what="the worker's report")
    assert denied(acl) == set()


@pytest.fixture
def server(acl: AclBroker, login: Login, tmp_path: Path) -> Iterator[RunningServer]:
    """An HTTP server with the least rights in Postgres and in Redis."""
    with acl.client() as admin:
        admin.acl_log_reset()
    registry = tmp_path / "registry.toml"
    registry.write_text(REGISTRY)
    with run_server(
        login("rollbook_console"),  # dead letters with their bodies
        acl.url("rollbook_server"),
        ServerSettings(),
        registry=str(registry),
        worker_broker_url=acl.url("rollbook_worker"),
        worker_database_url=login("rollbook_worker"),
    ) as server:
        yield server


def test_every_endpoint_of_the_server_works_with_the_least_rights(acl: AclBroker, server: RunningServer) -> None:
    with server.client() as api:
        calls = list(call_every_endpoint(api, SEGMENT_KEY, f"least-{acl.port}", server.publisher.store))
        ready = api.get("/readyz")

    assert {call.endpoint for call in calls} == set(ALL)
    assert [(call.endpoint, call.answer.status_code) for call in calls if not call.answer.is_success] == []
    assert ready.status_code == 200
    assert denied(acl) == set()


def test_the_http_server_remembers_idempotency_keys_and_sends(acl: AclBroker, server: RunningServer) -> None:
    with server.client() as api, Rollbook(broker_url=acl.url("rollbook_server")) as rb:
        key = {"idempotency-key": "once"}
        answers = [api.put("/v1/users/ann", json={"name": "Ann"}, headers=key) for _ in range(2)]
        invalid = [api.put("/v1/users/bo", json={"email": 7}, headers={"idempotency-key": "bad"}) for _ in range(2)]
        rb.users.identify("ann", {"plan": "pro"})

    assert [answer.status_code for answer in answers] == [200, 200]
    assert [answer.status_code for answer in invalid] == [422, 422]
    assert len({job.id for job in server.publisher.published}) == 1
    assert denied(acl) == set()


def test_what_a_killed_worker_held_is_restored(acl: AclBroker, running: Workers, login: Login, owner_url: str) -> None:
    with (
        Rollbook(database_url=login("rollbook_reader"), broker_url=acl.url("rollbook_publisher")) as rb,
        psycopg.connect(owner_url) as blocking,
        acl.client() as admin,
    ):
        blocking.execute("LOCK TABLE rollbook.users IN ACCESS EXCLUSIVE MODE")
        victim = running.spawn("victim", threads=1)
        wait_until(lambda: "ready" in running.log("victim"), what="the start")
        jobs = [rb.users.identify("held", {"n": number}) for number in range(20)]
        wait_until(lambda: admin.hlen("unacked"), what="a claim")
        os.killpg(victim.pid, signal.SIGKILL)
        for tag in admin.hkeys("unacked"):
            admin.zadd("unacked_index", {tag: 1})
        blocking.rollback()
        assert {job.wait(DEADLINE_SECONDS).state for job in jobs} <= {"applied", "duplicate"}
    assert denied(acl) == set()


def test_the_relay_sends(acl: AclBroker, running: Workers, login: Login, owner_url: str) -> None:
    with psycopg.connect(owner_url) as connection:
        job = Rollbook().outbox(connection).users.identify("gus", {})
    url = login("rollbook_relay")
    relay = Relay.from_settings(Settings(broker_url=acl.url("rollbook_relay"), database_url=url, outbox_url=url))
    with Rollbook(database_url=login("rollbook_reader")) as rb:
        assert relay.send() >= 1
        assert rb.jobs.wait(job.id, DEADLINE_SECONDS).state == "applied"
    relay.report()
    assert "outbox_unfinished" in redis_figures(acl.url("rollbook_maintenance"))
    relay.close()
    assert denied(acl) == set()


def test_operators_and_gauges_see_everything(acl: AclBroker, running: Workers, owner_url: str) -> None:
    wait_until(lambda: "ready" in running.log(), what="the worker")
    operator = Settings(database_url=owner_url, broker_url=acl.url("rollbook_operator"))
    wait_until(lambda: named(examine(operator), "workers").level is Level.OK, what="the worker answering the doctor")
    findings = list(examine(operator))
    assert {finding.name for finding in findings if finding.level is Level.PROBLEM} <= {"migrations"}
    assert "rollbook_operator" in named(findings, "user").summary

    as_maintenance = Settings(database_url=owner_url, broker_url=acl.url("rollbook_maintenance"))
    gauges = {metric.name: metric.samples for metric in ServerGauges(as_maintenance).collect()}
    assert {sample.value for sample in gauges["rollbook_server_up"]} == {1}
    check_queue_owner(as_maintenance)
    with Celery(broker=acl.url("rollbook_operator"), set_as_current=False) as app:
        assert app.control.inspect(timeout=DEADLINE_SECONDS, limit=1).active_queues()
    with acl.client("rollbook_exporter") as exporter:
        exporter.info()
        assert exporter.llen("default") == 0
    assert denied(acl) == set()


def test_the_doctor_of_a_publisher_names_the_user_that_it_needs(acl: AclBroker, owner_url: str) -> None:
    finding = named(examine(Settings(database_url=owner_url, broker_url=acl.url("rollbook_publisher"))), "redis")

    assert finding.level is Level.PROBLEM
    assert "rollbook_operator" in finding.advice


def test_flower_shows_workers_and_queues(acl: AclBroker, running: Workers, owner_url: str, tmp_path: Path) -> None:
    port, url = free_port(), acl.url("rollbook_flower")
    command = ["-m", "rollbook_worker.dashboard", f"--address={LOOPBACK}", f"--port={port}"]
    environment = {"CELERY_BROKER_URL": url, "ROLLBOOK_BROKER_URL": url, "FLOWER_UNAUTHENTICATED_API": "1"}
    flower = spawn_python(command, log=tmp_path / "flower.log", env=os.environ | environment)

    def page(path: str) -> str:
        try:
            with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/{path}", timeout=DEADLINE_SECONDS) as answer:
                return str(answer.read().decode())
        except OSError:
            return ""

    try:
        seen = "workers?refresh=1&json=1"
        # Flower asks a worker for several things, each with a deadline of its own; a busy worker may miss one
        wait_until(
            lambda: "worker@acceptance" in page(seen) and page("worker/worker@acceptance"),
            what="Flower showing the worker",
        )
        assert "default" in page("broker")
    finally:
        processes.kill(flower)
    assert denied(acl) == set()


@pytest.mark.parametrize("command", HARMFUL, ids=" ".join)
def test_no_process_may_harm_or_read_what_waits(acl: AclBroker, command: tuple[str, ...]) -> None:
    for user in set(acl.users) - {"default"}:
        with acl.client(user) as client, pytest.raises(NoPermissionError):
            client.execute_command(*command)


@pytest.mark.parametrize("command", OF_WORKERS, ids=" ".join)
def test_a_publisher_may_only_publish(acl: AclBroker, command: tuple[str, ...]) -> None:
    for user in ("rollbook_publisher", "rollbook_server"):
        with acl.client(user) as client, pytest.raises(NoPermissionError):
            client.execute_command(*command)


def test_flower_and_the_exporter_may_take_no_job(acl: AclBroker) -> None:
    for user in ("rollbook_flower", "rollbook_exporter", "rollbook_maintenance", "rollbook_operator"):
        with acl.client(user) as client:
            for command in (("RPOP", "default"), ("LPOP", "bulk"), ("RPUSH", "default", "x"), ("HDEL", "unacked", "x")):
                with pytest.raises(NoPermissionError):
                    client.execute_command(*command)


def test_the_administrator_may_do_everything(acl: AclBroker) -> None:
    with acl.client() as admin:
        admin.set("x", "y")
        assert admin.delete("x")
        assert set(admin.acl_users()) == set(acl.users)
