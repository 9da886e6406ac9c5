"""What a stack decides about its processes: which URLs are its own, and how often it starts a process again."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from rollbook_ops.devstack.earlier_runs import is_of_earlier_run
from rollbook_ops.devstack.endpoint import Endpoint, free_port
from rollbook_ops.devstack.flower import flower_port
from rollbook_ops.devstack.services import Service

PASSWORD = "0123456789abcdef" * 2


def ended() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-S", "-E", "-c", ""])


def local_url(scheme: str, port: int) -> str:
    if scheme == "redis":
        return f"redis://:{PASSWORD}@127.0.0.1:{port}/0"
    return f"postgresql://postgres:{PASSWORD}@127.0.0.1:{port}/postgres"


def test_a_service_that_ends_again_and_again_is_given_up(tmp_path: Path) -> None:
    service = Service("worker", tmp_path / "log", ended)

    assert [service.restart() for _ in range(6)] == [True] * 5 + [False]


@pytest.mark.parametrize("scheme", ["redis", "postgresql"])
def test_the_url_of_a_run_that_has_ended_is_recognised(scheme: str) -> None:
    assert is_of_earlier_run(local_url(scheme, free_port()), None)


@pytest.mark.parametrize("scheme", ["redis", "postgresql"])
def test_the_url_of_a_run_that_goes_on_is_used(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        assert not is_of_earlier_run(local_url(scheme, other.getsockname()[1]), None)


def test_the_urls_of_a_data_folder_are_its_own_whatever_has_their_port(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        Endpoint(port=port, password=PASSWORD).save(tmp_path / "postgres.json")

        assert is_of_earlier_run(local_url("postgresql", port), tmp_path)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://postgres:secret@127.0.0.1:1/postgres",
        "postgresql://app@db.example.com/app",
        f"redis://:{PASSWORD}@10.0.0.1:15000/0",
        "redis://127.0.0.1:1/0",
    ],
)
def test_any_other_url_is_of_a_foreign_server(url: str, tmp_path: Path) -> None:
    assert not is_of_earlier_run(url, None)
    assert not is_of_earlier_run(url, tmp_path)


def test_the_port_of_flower_stays_while_it_is_free(tmp_path: Path) -> None:
    Endpoint(port=free_port(), password="").save(tmp_path / "flower.json")
    saved = Endpoint.read(tmp_path / "flower.json")

    assert saved is not None
    assert flower_port(tmp_path) == saved.port
    assert flower_port(tmp_path) == saved.port
