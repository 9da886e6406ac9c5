"""Deliveries over HTTP: claim, report, list and get."""

from __future__ import annotations

import httpx
from tests.support.server.running_server import PUBLIC_KEY, RunningServer

UNKNOWN = "00000000-0000-0000-0000-000000000000"


def trigger(api: httpx.Client, user_id: str) -> None:
    recipients = [{"id": user_id, "email": f"{user_id}@example.com"}]
    answer = api.post("/v1/workflows/welcome/trigger", json={"recipients": recipients, "data": {"page": 7}})
    assert answer.status_code == 200


def test_a_sender_claims_and_reports(api: httpx.Client) -> None:
    trigger(api, "ann")

    (claimed,) = api.post("/v1/deliveries/claim", json={"channel": "mail", "lease": 60}).json()["items"]

    assert (claimed["address"], claimed["data"], claimed["attempt"]) == ("ann@example.com", {"page": 7}, 1)
    assert claimed["recipient"] == {"id": "ann", "email": "ann@example.com", "properties": {}}
    assert api.post("/v1/deliveries/claim", json={"channel": "mail"}).json() == {"items": []}
    report = {"id": claimed["id"], "claim": claimed["claim"], "outcome": "sent"}
    assert api.post("/v1/deliveries/report", json={"reports": [report]}).json() == {"lost": []}
    late = {**report, "claim": 9, "outcome": "failed", "reason": "no"}
    assert api.post("/v1/deliveries/report", json={"reports": [late]}).json() == {"lost": [claimed["id"]]}
    found = api.get(f"/v1/deliveries/{claimed['id']}").json()
    assert (found["user_id"], found["state"], found["attempts"]) == ("ann", "sent", 1)
    assert api.get("/v1/deliveries", params={"user_id": "ann"}).json() == {"items": [found], "after": None}
    assert found in api.get("/v1/deliveries", params={"state": "sent", "channel": "mail"}).json()["items"]


def test_what_is_wrong_is_named(api: httpx.Client) -> None:
    claim, report = "/v1/deliveries/claim", "/v1/deliveries/report"

    answers = [
        api.post(claim, json={"channel": "in_app"}),
        api.post(claim, json={"channel": "mail", "limit": 0}),
        api.post(claim, json={"channel": "mail", "wait": 21}),
        api.post(report, json={"reports": [{"id": UNKNOWN, "outcome": "lost"}]}),
        api.get("/v1/deliveries"),
    ]

    fields = [answer.json()["errors"][0]["field"] for answer in answers]
    assert {answer.status_code for answer in answers} == {422}
    assert fields == ["channel", "limit", "wait", "reports[0].outcome", "state"]
    assert api.get(f"/v1/deliveries/{UNKNOWN}").status_code == 404


def test_a_browser_may_not_claim(server: RunningServer) -> None:
    with server.client(PUBLIC_KEY) as browser:
        assert browser.post("/v1/deliveries/claim", json={"channel": "mail"}).status_code == 401
