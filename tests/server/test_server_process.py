"""`rollbook serve` as a process, while its servers go away and its callers misbehave."""

from __future__ import annotations

import itertools
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest
from tests.support.brokers import connect_to_broker
from tests.support.builders import NOW, trigger, user
from tests.support.python_processes import spawn_python
from tests.support.server.bad_requests import send_bad_requests
from tests.support.server.running_server import SECRET_KEY
from tests.support.templates import write_templates
from tests.support.waits import DEADLINE_SECONDS, wait_until

from rollbook_ops.devstack import Servers, processes
from rollbook_ops.devstack.endpoint import LOOPBACK, free_port
from rollbook_ops.devstack.http_server import http_server_is_healthy
from rollbook_server.settings import ServerSettings
from rollbook_shared.jobs.celery_task import QUEUES
from rollbook_shared.jobs.codec import encode
from rollbook_worker.migrations.runner import migrate
from rollbook_worker.store import PostgresStore, ReceivedJob

MIB = 1024 * 1024
REQUEST_SECONDS = 4.0


@dataclass
class Served:
    """The process, and what it needs."""

    process: subprocess.Popen[bytes]
    port: int
    servers: Servers
    log: Path

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def resident_bytes(self) -> int:
        return psutil.Process(self.process.pid).memory_info().rss

    def jobs_in_redis(self) -> int:
        """There are no workers, so all jobs stay."""
        with connect_to_broker(self.servers.broker_url) as broker:
            return sum(broker.llen(queue) for queue in QUEUES)

    def connect(self) -> socket.socket:
        return socket.create_connection((LOOPBACK, self.port), timeout=DEADLINE_SECONDS)


@pytest.fixture(scope="module")
def served(own_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    migrate(own_servers.database_url)
    port, log = free_port(), tmp_path_factory.mktemp("serve") / "serve.log"
    files = {"welcome/in_app.liquid": "Welcome, {{ recipient.name }}"}
    templates = write_templates(tmp_path_factory.mktemp("templates"), files)
    settings = {
        "ROLLBOOK_TEMPLATES": str(templates),
        "ROLLBOOK_BROKER_URL": own_servers.broker_url,
        "ROLLBOOK_DATABASE_URL": own_servers.database_url,
        "ROLLBOOK_SECRET_KEYS": SECRET_KEY,
        "ROLLBOOK_SERVER_WAIT_SECONDS": "0",
        "ROLLBOOK_SERVER_REQUEST_SECONDS": str(REQUEST_SECONDS),
    }
    process = spawn_python(["-m", "rollbook_ops.cli", "serve", "--port", str(port)], log=log, env=settings)
    served = Served(process, port, own_servers, log)
    wait_until(lambda: http_server_is_healthy(served.url), what="the server answering")
    yield served
    processes.kill(process)


@pytest.fixture
def api(served: Served) -> Iterator[httpx.Client]:
    headers = {"authorization": f"Bearer {SECRET_KEY}"}
    with httpx.Client(base_url=served.url, headers=headers, timeout=DEADLINE_SECONDS) as client:
        yield client


def test_feed_items_show_what_their_templates_make(served: Served, api: httpx.Client) -> None:
    welcome = trigger("welcome", [user("kim", name="Kim")], at=1)
    store = PostgresStore(served.servers.database_url)
    store.apply([ReceivedJob.of(encode(welcome))], now=NOW)
    store.close()

    (item,) = api.get("/v1/users/kim/feeds/in_app").json()["entries"]

    assert [block["rendered"] for block in item["blocks"]] == ["<p>Welcome, Kim</p>"]


def test_without_redis_writes_are_worth_a_retry_and_reads_go_on(served: Served, api: httpx.Client) -> None:
    key = {"idempotency-key": "without-redis"}
    served.servers.valkey.stop()
    try:
        for headers in (key, {}):
            answer = api.put("/v1/users/away", json={"plan": "pro"}, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            assert answer.headers["retry-after-ms"]
        assert api.get("/v1/users/away/feeds/in_app").status_code == 200
    finally:
        served.servers.valkey.start()

    before = served.jobs_in_redis()
    first, second = (api.put("/v1/users/away", json={"plan": "pro"}, headers=key) for _ in range(2))
    assert first.status_code == second.status_code == 202
    assert first.headers["rollbook-job-id"] == second.headers["rollbook-job-id"]
    assert served.jobs_in_redis() == before + 2  # deliveries of one job


def test_without_postgres_writes_go_on_and_reads_are_worth_a_retry(served: Served, api: httpx.Client) -> None:
    before = served.jobs_in_redis()
    served.servers.postgres.stop()
    try:
        assert api.put("/v1/users/ann", json={"plan": "pro"}).status_code == 202
        assert api.post("/v1/workflows/x/trigger", json={"recipients": ["ann"]}).status_code == 202
        answer = api.get("/v1/users/ann")
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    finally:
        served.servers.postgres.start()

    assert served.jobs_in_redis() == before + 2
    wait_until(lambda: api.get("/v1/users/ann").status_code == 404, what="reads going on")


def test_requests_that_never_end_are_cut_off_while_others_are_served(served: Served, api: httpx.Client) -> None:
    begun = b"PUT /v1/users/ann HTTP/1.1\r\nhost: x\r\n"
    without_end = served.connect()
    without_end.sendall(begun + f"authorization: Bearer {SECRET_KEY}\r\ncontent-length: 100\r\n\r\n{{".encode())
    slow = [served.connect() for _ in range(100)]
    for connection, start in zip(slow, itertools.cycle((b"", begun[:3], begun)), strict=False):
        connection.sendall(start)

    assert api.put("/v1/users/ann", json={}).status_code == 202

    for connection in slow:  # it is closed without an answer
        with connection:
            assert connection.recv(1) == b""
    with without_end:
        assert without_end.recv(4_096).startswith(b"HTTP/1.1 503")


@pytest.mark.parametrize("kind", ["a body", "chunks", "headers", "one header", "trailers"])
def test_a_hundred_megabytes_are_rejected_and_not_kept(served: Served, api: httpx.Client, kind: str) -> None:
    api.get("/v1/users/ann")
    before = served.resident_bytes()
    start = f"PUT /v1/users/ann HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {SECRET_KEY}\r\n".encode()
    chunks = b"transfer-encoding: chunked\r\n\r\n"
    head, unit = {
        "a body": (b"content-length: 100000000\r\n\r\n", b"x" * 1_000),
        "chunks": (chunks, b"3e8\r\n" + b"x" * 1_000 + b"\r\n"),
        "headers": (b"", b"x-more: " + b"x" * 990 + b"\r\n"),
        "one header": (b"x-more: ", b"x" * 1_000),
        "trailers": (chunks + b"2\r\n{}\r\n0\r\n", b"x-more: " + b"x" * 990 + b"\r\n"),
    }[kind]

    answer = b""
    with served.connect() as connection:
        connection.sendall(start + head)
        try:
            for _ in range(1_000):
                connection.sendall(unit * 100)
            answer = connection.recv(4_096)
        except ConnectionError:
            pass  # closed, and what was sent after that has discarded the answer

    assert not answer or answer.split()[1] in (b"413", b"431", b"202")
    assert served.resident_bytes() - before < 3 * ServerSettings().max_body_bytes
    assert api.put("/v1/users/ann", json={}).status_code == 202


def test_bad_requests_are_rejected_and_what_was_accepted_is_in_redis(served: Served, api: httpx.Client) -> None:
    send_bad_requests(served.port, 100, seed=1)
    memory, jobs = served.resident_bytes(), served.jobs_in_redis()

    statuses = send_bad_requests(served.port, 600)

    assert {status for status in statuses if status >= 500} == set(), statuses
    assert {202, 400, 404, 422, 431} <= statuses.keys()
    accepted = sum(count for status, count in statuses.items() if 200 <= status < 300)
    assert served.jobs_in_redis() >= jobs + accepted
    assert served.resident_bytes() - memory < 20 * MIB
    assert "Traceback" not in served.log.read_text()
    assert api.get("/v1/users/ann").status_code == 404
