"""Every URL that Celery accepts for Redis is accepted, and its options have effect."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
from tests.support.brokers import broker_program, connect_to_broker
from tests.support.waits import wait_until

from rollbook import NotConfigured, NotSent, Rollbook
from rollbook_ops.devstack.endpoint import free_port

UNREACHABLE = "redis://127.0.0.1:1/0"
FAILS_WITHIN_SECONDS = 4.0
"""No server has to be waited for; redis-py by itself would, for 7."""

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def started(starts_servers: None, tmp_path: Path) -> Iterator[Start]:
    """Start Valkey with these arguments, and stop it at the end."""
    running: list[subprocess.Popen[bytes]] = []

    def start(client: redis.Redis, *arguments: str | Path) -> subprocess.Popen[bytes]:
        command = [broker_program(), *arguments]
        process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL)
        running.append(process)
        wait_until(lambda: answers(client), what="Valkey")
        return process

    yield start
    for process in running:
        process.kill()
        process.wait()


def answers(client: redis.Redis) -> bool:
    with suppress(redis.ConnectionError):
        return bool(client.ping())
    return False


def waiting(client: redis.Redis) -> Any:
    return client.llen("default")


def test_database_number_and_password_are_taken_from_the_url(broker_url: str) -> None:
    with Rollbook(broker_url=broker_url) as rb, connect_to_broker(broker_url) as client:
        client.flushdb()
        rb.users.delete("u1")

        assert waiting(client) == 1
    parts = urlsplit(broker_url)
    without_password = parts._replace(netloc=f"{parts.hostname}:{parts.port}").geturl()
    with Rollbook(broker_url=without_password) as rb, pytest.raises(NotSent, match="uthentication"):
        rb.users.delete("u1")


def test_one_of_several_hosts_is_used(broker_url: str) -> None:
    with Rollbook(broker_url=f"{UNREACHABLE};{broker_url}") as rb, connect_to_broker(broker_url) as client:
        client.flushdb()
        rb.users.delete("u1")
        rb.users.delete("u2")

        assert waiting(client) == 2


def test_a_unix_socket_can_be_used(started: Start) -> None:
    folder = Path(tempfile.mkdtemp(prefix="rollbook-"))  # that of the test may be longer than a socket's name may be
    path = folder / "valkey.sock"
    try:
        with redis.Redis(unix_socket_path=str(path)) as client:
            started(client, "--port", "0", "--unixsocket", path)
            with Rollbook(broker_url=f"redis+socket://{path}") as rb:
                rb.users.delete("u1")

            assert waiting(client) == 1
    finally:
        shutil.rmtree(folder)


def test_sentinel_is_asked_again_when_the_master_moves(started: Start, tmp_path: Path) -> None:
    ports = [free_port() for _ in range(3)]
    first, second, watcher = (redis.Redis(port=port) for port in ports)
    config = tmp_path / "sentinel.conf"
    config.write_text(f"port {ports[2]}\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 {ports[0]} 1\n")
    with first, second, watcher:
        master, _ = (
            started(client, "--port", str(port), "--bind", "127.0.0.1", "--save", "")
            for client, port in ((first, ports[0]), (second, ports[1]))
        )
        started(watcher, config, "--sentinel")
        urls = f"sentinel://127.0.0.1:1;sentinel://127.0.0.1:{ports[2]}/0?master_name=main"
        with Rollbook(broker_url=urls) as rb:
            rb.users.delete("u1")
            assert waiting(first) == 1

            watcher.sentinel_remove("main")
            watcher.sentinel_monitor("main", "127.0.0.1", ports[1], 1)
            master.kill()
            rb.users.delete("u2")
            assert waiting(second) == 1


def test_a_demoted_master_is_left_for_the_new_one(
    started: Start,
) -> None:
    ports = [free_port() for _ in range(2)]
    first, second = (redis.Redis(port=port) for port in ports)
    with first, second:
        for client, port in ((first, ports[0]), (second, ports[1])):
            started(client, "--port", str(port), "--bind", "127.0.0.1", "--save", "")
        with Rollbook(broker_url=f"redis://127.0.0.1:{ports[0]}/0;redis://127.0.0.1:{ports[1]}/0") as rb:
            rb.users.delete("u1")
            first.replicaof("127.0.0.1", str(ports[1]))
            rb.users.delete("u2")

        assert waiting(second) == 1


def test_a_sentinel_url_without_a_master_is_rejected() -> None:
    with pytest.raises(NotConfigured, match="master_name"):
        Rollbook(broker_url="sentinel://127.0.0.1:26379/0")


@pytest.mark.parametrize(
    "url",
    [
        " redis://:S3cret@127.0.0.1:1/0",
        "redis://:S3cret@127.0.0.1:1/0\n",
        "redis://:S3cret@127.0.0.1:1/app",
        "redis://:S3cret/S3cret@127.0.0.1:1/0",
        "redis://:p@ss/S3cret#S3cret@127.0.0.1:1/0",
        "redis://:S3cret#@127.0.0.1:1/0",
        "redis://:S3cret@127.0.0.1:port/0",
        "redis://127.0.0.1:1/0;redis://:S3cret@127.0.0.1:1/x",
        ":S3cret@127.0.0.1:1/0",
        "sentinel://:S3cret@127.0.0.1:1/x?master_name=m",
    ],
)
def test_an_invalid_url_is_rejected_without_its_password(url: str) -> None:
    with pytest.raises(NotConfigured, match="URL cannot be used") as rejected:
        Rollbook(broker_url=url)

    assert "S3cret" not in "".join(traceback.format_exception(rejected.value))


@pytest.mark.parametrize(
    "url", ["rediss://127.0.0.1:1/0?ssl_cert_reqs=required", "sentinel://127.0.0.1:1?master_name=m"]
)
def test_an_unreachable_server_raises_not_sent_for_any_kind_of_url(url: str) -> None:
    with Rollbook(broker_url=url) as rb:
        begin = time.monotonic()
        with pytest.raises(NotSent):
            rb.users.delete("u1")
        assert time.monotonic() - begin < FAILS_WITHIN_SECONDS
