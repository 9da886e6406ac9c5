"""Users over HTTP: what an SDK sends, and what it gets back."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from tests.support.server.running_server import RunningServer


def put(api: httpx.Client, user_id: str, **traits: Any) -> httpx.Response:
    return api.put(f"/v1/users/{user_id}", json=traits)


def test_identify_answers_with_the_stored_user(api: httpx.Client) -> None:
    put(api, "ann", email="ann@example.com", plan="free")

    answer = put(api, "ann", plan="pro", created_at="2026-01-31T09:30:00+01:00")

    assert answer.status_code == 200
    body = answer.json()
    assert {name: body[name] for name in ("__typename", "id", "email", "plan", "created_at")} == {
        "__typename": "User",
        "id": "ann",
        "email": "ann@example.com",
        "plan": "pro",
        "created_at": "2026-01-31T08:30:00Z",
    }
    assert api.get("/v1/users/ann").json() == body
    assert answer.headers["rollbook-job-id"]


def test_an_integer_of_more_than_64_bits_is_answered_as_it_was_sent(api: httpx.Client) -> None:
    answer = put(api, "big", n=-(2**70), nested={"m": [2**64]})

    assert answer.status_code == 200
    for body in (answer.json(), api.get("/v1/users/big").json()):
        assert (body["n"], body["nested"]) == (-(2**70), {"m": [2**64]})
    assert api.get("/v1/users").status_code == 200


def test_identify_answers_202_with_what_was_sent_while_no_worker_is_there(
    api: httpx.Client, server: RunningServer
) -> None:
    server.publisher.workers_are_away = True

    answer = api.put("/v1/users/late", json={"plan": "pro"}, headers={"prefer": "respond-async"})

    assert answer.status_code == 202
    assert {name: answer.json()[name] for name in ("id", "plan")} == {"id": "late", "plan": "pro"}
    job_id = answer.headers["rollbook-job-id"]
    assert api.get(f"/v1/jobs/{job_id}").json()["state"] == "queued"
    server.publisher.apply()
    assert api.get(f"/v1/jobs/{job_id}").json()["state"] == "applied"


def test_an_invalid_user_is_rejected_with_every_problem(api: httpx.Client) -> None:
    answer = put(api, "ann", email="no address", phone_number="123")

    assert answer.status_code == 422
    body = answer.json()
    assert (body["code"], body["status"], body["type"]) == ("invalid_params", 422, "invalid_request_error")
    assert {problem["field"] for problem in body["errors"]} == {"email", "phone_number"}


def test_an_unknown_user_is_not_found(api: httpx.Client) -> None:
    answer = api.get("/v1/users/unknown")

    assert (answer.status_code, answer.json()["code"]) == (404, "resource_missing")


def test_a_merge_answers_with_the_primary_and_the_secondary_is_gone(api: httpx.Client) -> None:
    put(api, "mo", plan="pro")
    put(api, "guest", cart={"items": 2})

    answer = api.post("/v1/users/mo/merge", json={"from_user_id": "guest"})

    assert answer.status_code == 200
    assert (answer.json()["plan"], answer.json()["cart"]) == ("pro", {"items": 2})
    gone = api.get("/v1/users/guest")
    assert (gone.status_code, gone.json()["merged_into"]) == (404, "mo")


def test_a_user_is_not_merged_into_itself(api: httpx.Client) -> None:
    assert api.post("/v1/users/ann/merge", json={"from_user_id": "ann"}).status_code == 422


def test_a_deleted_user_is_gone_and_an_unknown_one_is_no_error(api: httpx.Client) -> None:
    put(api, "bo")

    assert [api.delete(f"/v1/users/{user_id}").status_code for user_id in ("bo", "unknown-2")] == [204, 204]
    assert api.get("/v1/users/bo").status_code == 404


def test_users_are_listed_in_pages_both_ways(api: httpx.Client) -> None:
    for number in range(5):
        put(api, f"page-{number}")
    first = api.get("/v1/users", params={"page_size": 2, "order": "desc"}).json()

    second = api.get("/v1/users", params={"page_size": 2, "order": "desc", "after": first["page_info"]["after"]}).json()
    back = api.get(
        "/v1/users", params={"page_size": 2, "order": "desc", "before": second["page_info"]["before"]}
    ).json()

    assert [user["id"] for user in first["entries"]] == ["page-4", "page-3"]
    assert [user["id"] for user in second["entries"]] == ["page-2", "page-1"]
    assert back["entries"] == first["entries"]


@pytest.mark.parametrize("page_size", ["0", "51", "x", "-1", "1.5"])
def test_a_page_has_1_to_50_users(api: httpx.Client, page_size: str) -> None:
    assert api.get("/v1/users", params={"page_size": page_size}).status_code == 422


@pytest.mark.parametrize("path", ["/v1/users/a%2Fb", "/v1/users/a%2Fmessages", "/v1/users/a%2fb/preferences"])
def test_an_encoded_slash_names_no_user_and_reaches_no_other_call(api: httpx.Client, path: str) -> None:
    assert api.get(path).status_code == 404


def test_an_id_is_decoded(api: httpx.Client) -> None:
    assert put(api, "zo%C3%AB%20lee", plan="pro").status_code == 200
    assert api.get("/v1/users/zo%C3%AB%20lee").json()["id"] == "zoë lee"


def test_a_time_in_a_header_says_when_it_happened(api: httpx.Client) -> None:
    put(api, "old", plan="pro")

    answer = api.put(
        "/v1/users/old",
        json={"plan": "free", "theme": "dark"},
        headers={"rollbook-occurred-at": "2026-01-01T00:00:00Z"},
    )

    assert (answer.json()["plan"], answer.json()["theme"]) == ("pro", "dark")


def test_a_write_can_be_deferred_and_cancelled_as_a_job(api: httpx.Client) -> None:
    answer = api.put("/v1/users/soon", json={}, headers={"rollbook-run-at": "2099-01-01T00:00:00Z"})

    assert answer.status_code == 202
    assert api.get(f"/v1/jobs/{answer.headers['rollbook-job-id']}").json()["state"] == "deferred"
    assert api.get("/v1/users/soon").status_code == 404
