"""Requests that cannot be served: the right status, one form of error, bounded work."""

from __future__ import annotations

import socket
from typing import Any

import httpx
import pytest
from tests.support.server.running_server import SECRET_KEY, RunningServer
from tests.support.waits import DEADLINE_SECONDS

from rollbook_server.http.bounded_protocol import MAX_HEADER_BYTES


def code(answer: httpx.Response) -> tuple[int, str]:
    body = answer.json()
    assert body["status"] == answer.status_code
    assert {"code", "message", "status", "type"} <= body.keys()
    return answer.status_code, body["code"]


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (b"{", (400, "invalid_json")),
        (b"\xff\xfe{}", (400, "invalid_json")),
        (b'{"a": NaN}', (400, "invalid_json")),
        (b"[" * 100_000, (400, "invalid_json")),
        (b"[]", (422, "invalid_params")),
        (b'"x"', (422, "invalid_params")),
        (b'{"email": 1}', (422, "invalid_params")),
        (b'{"a": "\\u0000"}', (422, "invalid_params")),
        (b'{"a": "\\ud800"}', (400, "invalid_json")),
    ],
)
def test_a_body_that_is_no_user_is_rejected(api: httpx.Client, content: bytes, wanted: Any) -> None:
    assert code(api.put("/v1/users/ann", content=content, headers={"content-type": "application/json"})) == wanted


def test_a_body_of_another_type_is_rejected(api: httpx.Client) -> None:
    answer = api.put(
        "/v1/users/ann", content=b"plan=pro", headers={"content-type": "application/x-www-form-urlencoded"}
    )

    assert code(answer) == (415, "unsupported_media_type")


def test_an_empty_body_is_an_empty_object(api: httpx.Client) -> None:
    answer = api.put("/v1/users/ann", headers={"content-type": "application/json"})

    assert answer.status_code == 200


def test_a_body_that_is_too_large_is_rejected_before_it_is_read(api: httpx.Client, server: RunningServer) -> None:
    most = server.services.settings.max_body_bytes
    with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), timeout=10) as connection:
        connection.sendall(
            f"PUT /v1/users/ann HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {SECRET_KEY}\r\n"
            f"content-length: {most + 1}\r\n\r\n".encode()
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


def test_a_body_without_a_length_is_read_up_to_the_bound(api: httpx.Client, server: RunningServer) -> None:
    chunk = b"x" * 1_000_000

    answer = api.put(
        "/v1/users/ann", content=(chunk for _ in range(server.services.settings.max_body_bytes // len(chunk) + 2))
    )

    assert code(answer) == (413, "body_too_large")


def test_a_body_may_come_in_chunks_of_one_byte(api: httpx.Client, server: RunningServer) -> None:
    body = b'{"plan": "%s"}' % (b"x" * MAX_HEADER_BYTES)
    with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), DEADLINE_SECONDS) as connection:
        connection.sendall(
            f"PUT /v1/users/ann HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {SECRET_KEY}\r\n"
            "transfer-encoding: chunked\r\n\r\n".encode()
            + b"".join(b"1\r\n%c\r\n" % byte for byte in body)
            + b"0\r\n\r\n"
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("path", ["/v1", "/v1/unknown", "/v1/users/ann/unknown", "/v2/users/ann"])
def test_an_unknown_call_is_not_found(api: httpx.Client, path: str) -> None:
    assert code(api.get(path)) == (404, "resource_missing")


@pytest.mark.parametrize("path", ["/v1/objects/projects/1", "/v1/tenants", "/v1/schedules", "/v1/audiences/x/members"])
def test_what_rollbook_has_not_says_so(api: httpx.Client, path: str) -> None:
    assert code(api.get(path)) == (404, "not_supported")


def test_another_method_is_rejected(api: httpx.Client) -> None:
    answer = api.post("/v1/users/ann", json={})

    assert code(answer) == (405, "method_not_allowed")
    assert "PUT" in answer.headers["allow"] or "GET" in answer.headers["allow"]


def test_a_server_that_is_full_says_so_at_once(api: httpx.Client, server: RunningServer, monkeypatch: Any) -> None:
    object.__setattr__(server.services.settings, "max_requests", 0)
    try:
        answer = api.get("/v1/users/ann")
    finally:
        object.__setattr__(server.services.settings, "max_requests", 500)

    assert code(answer) == (503, "too_many_requests_in_progress")
    assert answer.headers["retry-after-ms"] == "1000"
