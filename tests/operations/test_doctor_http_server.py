"""`rollbook doctor`: the HTTP server, its keys and its registry."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.operations.findings import MARKED, named
from tests.support.server.running_server import RunningServer, run_server

from rollbook_ops.doctor import Level
from rollbook_ops.doctor.http_server import examine_http_server
from rollbook_server.settings import ServerSettings
from rollbook_shared.registry import parse_registry, registry_fingerprint
from rollbook_shared.settings import Settings

REGISTRY = '[channels.mail]\ntype = "email"\n[workflows.digest]\nchannels = ["mail"]\n'
LONG = "0123456789abcdef" * 4


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("doctor") / "registry.toml"
    file.write_text(REGISTRY)
    return file


@pytest.fixture(scope="module")
def server(database_url: str, broker_url: str, registry: Path) -> Iterator[RunningServer]:
    with run_server(database_url, broker_url, ServerSettings(), registry=str(registry)) as server:
        yield server


def test_nothing_is_reported_of_what_is_not_set() -> None:
    assert list(examine_http_server(Settings(), ServerSettings())) == []


def test_a_server_that_is_ready_and_has_the_registry_is_ok(server: RunningServer, registry: Path) -> None:
    findings = list(examine_http_server(Settings(registry=str(registry)), ServerSettings(url=f"{server.url}/")))

    assert [(finding.name, finding.level) for finding in findings] == [
        ("registry", Level.OK),
        ("http server", Level.OK),
    ]


def test_another_registry_than_the_servers_is_a_warning(server: RunningServer, tmp_path: Path) -> None:
    (other := tmp_path / "other.toml").write_text(REGISTRY.replace("digest", "receipt"))
    findings = examine_http_server(Settings(registry=str(other)), ServerSettings(url=server.url))

    assert named(findings, "server's registry").level is Level.WARNING


def test_an_invalid_registry_is_a_problem(tmp_path: Path) -> None:
    (file := tmp_path / "registry.toml").write_text("[channels.mail]\n")

    assert named(examine_http_server(Settings(registry=str(file)), ServerSettings()), "registry").level is Level.PROBLEM


def test_a_server_that_does_not_answer_is_a_problem() -> None:
    url = f"http://{MARKED}:{MARKED}@127.0.0.1:1"

    finding = named(examine_http_server(Settings(), ServerSettings(url=url)), "http server")
    assert (finding.level, "does not answer" in finding.summary) == (Level.PROBLEM, True)


@pytest.mark.parametrize("url", [MARKED, f"file:///etc/{MARKED}", "ftp://127.0.0.1"])
def test_what_is_no_url_of_a_server_is_a_problem(url: str) -> None:
    assert named(examine_http_server(Settings(), ServerSettings(url=url)), "http server").level is Level.PROBLEM


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (b'HTTP/1.1 503 x\r\n\r\n{"status":"not ready","missing":["redis"]}', "it does not reach redis"),
        (b'HTTP/1.1 503 x\r\n\r\n{"missing":["%s"]}' % MARKED.encode(), "it does not reach its servers"),
        (b"HTTP/1.1 200 OK\r\n\r\n[]", "no server of Rollbook"),
        (b"HTTP/1.1 200 OK\r\n\r\n<html>%s" % MARKED.encode(), "does not answer"),
        (b"%s\r\n\r\n" % MARKED.encode(), "does not answer"),
    ],
    ids=["not ready", "foreign names", "other JSON", "no JSON", "no HTTP"],
)
def test_an_answer_that_is_not_ready_is_a_problem(answer: bytes, wanted: str) -> None:
    with answering(answer) as url:
        finding = named(examine_http_server(Settings(), ServerSettings(url=url)), "http server")

    assert finding.level is Level.PROBLEM
    assert wanted in finding.summary


@pytest.mark.parametrize(
    ("keys", "level"),
    [
        ((LONG,), Level.OK),
        ((LONG, LONG[:19]), Level.PROBLEM),
        ((LONG[:20],), Level.OK),
        (("rollbook",), Level.PROBLEM),
        (("CHANGE-ME" + LONG,), Level.PROBLEM),
    ],
)
def test_a_key_that_may_be_guessed_is_a_problem(keys: tuple[str, ...], level: Level) -> None:
    finding = named(examine_http_server(Settings(), ServerSettings(secret_keys=keys)), "secret keys")

    assert finding.level is level
    assert not any(key in repr(finding) for key in keys if len(key) > 10)


def test_public_keys_without_the_key_of_user_tokens_are_a_warning() -> None:
    given = ServerSettings(secret_keys=(LONG,), public_keys=("pk",))

    assert named(examine_http_server(Settings(), given), "secret keys").level is Level.WARNING


def test_the_fingerprint_of_a_registry_holds_no_option_of_a_sender() -> None:
    plain = parse_registry(REGISTRY, what="it")
    changed = parse_registry(REGISTRY.replace("digest", "receipt"), what="it")

    assert registry_fingerprint(plain) != registry_fingerprint(changed)
    with_delivery = parse_registry(REGISTRY.replace('"email"\n', '"email"\ndelivery = "claim"\n'), what="it")
    assert registry_fingerprint(with_delivery) == registry_fingerprint(plain)


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """The URL of something that answers one request with this."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()
