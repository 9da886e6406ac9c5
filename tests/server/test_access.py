"""Who may call what: secret keys, public keys with user tokens, and no one else."""

from __future__ import annotations

import time
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.support.server.running_server import (
    PRIVATE_KEY,
    PUBLIC_KEY,
    PUBLIC_PEM,
    SEGMENT_KEY,
    RunningServer,
    run_server,
)

from rollbook_server.access.permissions import Permission
from rollbook_server.endpoints import ENDPOINTS
from rollbook_server.settings import ServerSettings

RESOURCE = "https://api.knock.app/v1/users/ann"


def token(user_id: str = "ann", *, key: Any = PRIVATE_KEY, algorithm: str = "RS256", **claims: Any) -> str:
    now = int(time.time())
    return jwt.encode({"sub": user_id, "iat": now, "exp": now + 600, **claims}, key, algorithm=algorithm)


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


@pytest.fixture(autouse=True)
def _ann(api: httpx.Client) -> None:
    api.put("/v1/users/ann", json={"plan": "pro"})


def test_a_call_without_a_key_is_rejected(server: RunningServer) -> None:
    answer = httpx.get(f"{server.url}/v1/users/ann")

    assert code(answer) == (401, "api_key_missing")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("key", ["sk_wrong", "sk_test_1234", "sk_test_123456", "ü"])
def test_a_wrong_key_is_rejected(server: RunningServer, key: str) -> None:
    with httpx.Client(base_url=server.url) as client:
        answer = client.get("/v1/users/ann", headers={b"authorization": f"Bearer {key}".encode()})
    assert answer.status_code == 401


def test_a_user_reads_itself_with_its_token_and_no_one_else(server: RunningServer, api: httpx.Client) -> None:
    api.put("/v1/users/bo", json={})
    with server.client(PUBLIC_KEY, token()) as browser:
        assert browser.get("/v1/users/ann").json()["plan"] == "pro"
        assert code(browser.get("/v1/users/bo")) == (403, "invalid_user_token")


OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
BAD_TOKENS: dict[str, tuple[str | None, str]] = {
    "none": (None, "missing_user_token"),
    "no token": ("x.y.z", "invalid_user_token"),
    "expired": (token(exp=int(time.time()) - 3600), "invalid_user_token"),
    "of another key": (token(key=OTHER_KEY), "invalid_user_token"),
    "signed with the public key as a secret": (
        token(key=PUBLIC_PEM.replace("-----", "").replace("\n", ""), algorithm="HS256"),
        "invalid_user_token",
    ),
    "unsigned": (jwt.encode({"sub": "ann", "exp": 1 << 40}, "", algorithm="none"), "invalid_user_token"),
    "without an end": (jwt.encode({"sub": "ann"}, PRIVATE_KEY, algorithm="RS256"), "invalid_user_token"),
    "without a user": (jwt.encode({"exp": 1 << 40}, PRIVATE_KEY, algorithm="RS256"), "invalid_user_token"),
}


@pytest.mark.parametrize(("given", "wanted"), BAD_TOKENS.values(), ids=BAD_TOKENS.keys())
def test_a_token_that_is_not_valid_is_rejected(server: RunningServer, given: str | None, wanted: str) -> None:
    with server.client(PUBLIC_KEY, given) as browser:
        assert code(browser.get("/v1/users/ann")) == (401, wanted)


@pytest.mark.parametrize(
    "endpoint",
    [each for each in ENDPOINTS if not each.authorised_by_handler],
    ids=lambda endpoint: f"{endpoint.method} {endpoint.path}",
)
def test_a_user_may_do_what_its_token_permits_and_nothing_else(server: RunningServer, endpoint: Any) -> None:
    path = endpoint.path.replace("{user_id}", "ann")
    for name in endpoint.path_parameters:
        path = path.replace(f"{{{name}}}", "seen")
    grants: Any = {RESOURCE: {permission: [{}] for permission in Permission if permission != endpoint.permission}}
    with server.client(PUBLIC_KEY, token(explicit_grants=True, grants=grants)) as browser:
        answer = browser.request(endpoint.method, path, json={} if endpoint.body else None)

    wanted = "incorrect_token_type" if endpoint.permission is None else "permission_missing"
    assert code(answer) == (403, wanted)


@pytest.mark.parametrize("key", [SEGMENT_KEY, PUBLIC_KEY], ids=["write key", "public key"])
def test_a_key_that_every_browser_has_is_not_enough(server: RunningServer, key: str) -> None:
    calls = [(each.method, each.path) for each in ENDPOINTS if not each.authorised_by_handler]
    with server.client(key) as client:
        served = [call for call in calls if client.request(*call, json={}).status_code != 401]

    assert calls
    assert served == []


def test_a_user_sees_and_marks_no_message_of_another(server: RunningServer, api: httpx.Client) -> None:
    api.put("/v1/users/bo", json={})
    api.post("/v1/workflows/comment/trigger", json={"recipients": ["bo"]})
    (found, *_) = api.get("/v1/users/bo/messages").json()["items"]
    path, channel = f"/v1/messages/{found['id']}", "/v1/channels/in_app/messages/bulk/seen"

    with server.client(PUBLIC_KEY, token()) as browser:
        assert code(browser.get(path)) == (403, "incorrect_token_type")
        assert browser.put(f"{path}/seen").status_code == 404
        assert browser.post("/v1/messages/batch/seen", json={"message_ids": [found["id"]]}).json() == []
        assert code(browser.post(channel, json={"user_ids": ["bo"]})) == (403, "invalid_user_token")
        assert code(browser.post(channel, json={"user_ids": ["ann", "bo"]})) == (403, "invalid_user_token")

    assert api.get(path).json()["seen_at"] is None
    with server.client(PUBLIC_KEY, token("bo")) as browser:
        assert browser.put(f"{path}/seen").json()["seen_at"] is not None


def test_a_browser_writes_only_the_traits_that_it_may(database_url: str, broker_url: str) -> None:
    with (
        run_server(database_url, broker_url, ServerSettings(browser_traits=("name",))) as server,
        server.client(PUBLIC_KEY, token("traits")) as browser,
        server.client() as api,
    ):
        assert browser.put("/v1/users/traits", json={"name": "Ann", "plan": "pro"}).status_code == 200
        found = api.get("/v1/users/traits").json()

    assert found["name"] == "Ann"
    assert "plan" not in found


def test_a_browser_writes_preferences_and_channel_data_with_a_user_only_as_permitted(
    server: RunningServer, api: httpx.Client
) -> None:
    said = {
        "plan": "free",
        "preferences": {"default": {"workflows": {"digest": False}}},
        "channel_data": {"slack": {"connections": [{"access_token": "x"}]}},
    }
    grants: Any = {RESOURCE: {Permission.USER_WRITE: [{}]}}
    with server.client(PUBLIC_KEY, token(explicit_grants=True, grants=grants)) as browser:
        assert browser.put("/v1/users/ann", json=said).status_code == 200

    assert api.get("/v1/users/ann").json()["plan"] == "free"
    assert api.get("/v1/users/ann/preferences/default").json()["workflows"] == {}
    assert api.get("/v1/users/ann/channel_data/slack").status_code == 404


def test_grants_of_another_user_do_not_count(server: RunningServer) -> None:
    grants: Any = {RESOURCE.replace("ann", "bo"): {Permission.USER_READ: [{}]}}
    with server.client(PUBLIC_KEY, token(explicit_grants=True, grants=grants)) as browser:
        assert code(browser.get("/v1/users/ann")) == (403, "permission_missing")


def test_an_error_quotes_no_key_and_no_token(server: RunningServer) -> None:
    with server.client("sk_secret_value", "token_value") as client:
        assert "_value" not in client.get("/v1/users/ann").text


def test_a_page_of_a_permitted_origin_may_call(server: RunningServer) -> None:
    headers = {
        "origin": "https://app.example.com",
        "access-control-request-method": "PUT",
        "access-control-request-headers": "authorization,content-type,x-knock-user-token,x-knock-client",
    }

    answer = httpx.options(f"{server.url}/v1/users/ann", headers=headers)
    other = httpx.options(f"{server.url}/v1/users/ann", headers={**headers, "origin": "https://evil.example"})

    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://app.example.com"
    assert "x-knock-user-token" in answer.headers["access-control-allow-headers"].lower()
    assert "access-control-allow-origin" not in other.headers
