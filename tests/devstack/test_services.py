"""What a stack decides about its processes: which URLs are its own, and how often it starts a process again."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from rollbook_ops.devstack.earlier_runs import is_of_earlier_run
from rollbook_ops.devstack.endpoint import Endpoint, free_port
from rollbook_ops.devstack.flower import flower_command, flower_endpoint, flower_url
from rollbook_ops.devstack.http_server import (
    http_endpoint,
    http_server_environment,
    private_key_of,
)
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
    assert flower_endpoint(tmp_path).port == saved.port
    assert flower_endpoint(tmp_path).port == saved.port


def test_flower_has_a_password_that_stays_and_is_no_argument(tmp_path: Path) -> None:
    Endpoint(port=free_port(), password="").save(tmp_path / "flower.json")  # as it was saved without a password
    endpoint = flower_endpoint(tmp_path)

    assert len(endpoint.password) == 32
    assert flower_endpoint(tmp_path) == endpoint
    assert flower_endpoint(None).password not in ("", endpoint.password, flower_endpoint(None).password)
    assert f":{endpoint.password}@" in flower_url(endpoint)
    assert endpoint.password not in " ".join(flower_command(endpoint))


def test_the_port_and_the_keys_of_the_http_server_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROLLBOOK_USER_TOKEN_PUBLIC_KEY", raising=False)
    endpoint, private_key = http_endpoint(tmp_path), private_key_of(tmp_path)
    environment = http_server_environment(endpoint, private_key)

    assert http_endpoint(tmp_path) == endpoint
    assert http_server_environment(endpoint, private_key_of(tmp_path)) == environment
    assert environment["ROLLBOOK_SECRET_KEYS"] != http_endpoint(None).secret_key
    assert {oct(path.stat().st_mode & 0o777) for path in tmp_path.iterdir()} == {"0o600"}


def test_the_port_of_the_http_server_changes_if_another_process_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = http_endpoint(tmp_path)
    monkeypatch.setattr("rollbook_ops.devstack.endpoint._RELEASE_SECONDS", 0.0)
    with socket.create_server(("127.0.0.1", endpoint.port)):
        other = http_endpoint(tmp_path)

    assert (other.port == endpoint.port, other.secret_key) == (False, endpoint.secret_key)


def test_an_applications_own_key_of_user_tokens_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLLBOOK_USER_TOKEN_PUBLIC_KEY", "-----BEGIN PUBLIC KEY-----")

    assert private_key_of(tmp_path) is None
    assert "ROLLBOOK_USER_TOKEN_PUBLIC_KEY" not in http_server_environment(http_endpoint(None), None)
