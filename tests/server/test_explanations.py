"""Explanations over HTTP: the same as the client's, for secret keys only."""

from __future__ import annotations

import httpx
from tests.support.server.running_server import RunningServer


def test_a_user_is_explained_by_the_jobs_of_its_values(api: httpx.Client) -> None:
    job_id = api.put("/v1/users/why", json={"plan": "pro"}).headers["rollbook-job-id"]

    answer = api.get("/v1/users/why/explanation")

    assert answer.status_code == 200
    (plan,) = answer.json()["traits"]
    assert (plan["path"], plan["value"], plan["job_id"], plan["user_id"]) == (["plan"], "pro", job_id, "why")


def test_a_message_that_preferences_stopped_is_explained_by_its_trigger(api: httpx.Client) -> None:
    api.put("/v1/users/quiet", json={"plan": "pro"})
    opt_out = api.put("/v1/users/quiet/preferences/default", json={"workflows": {"digest": False}})
    run = api.post("/v1/workflows/digest/trigger", json={"recipients": ["quiet"]}).headers["rollbook-job-id"]

    answer = api.get(f"/v1/jobs/{run}/explanation", params={"recipient": "quiet"})

    assert answer.status_code == 200
    body = answer.json()
    assert (body["is_allowed"], body["owner"], body["owner_reason"]) == (False, "quiet", "addressed")
    stopped = [setting for setting in body["settings"] if setting["value"] is False]
    assert [(one["path"], one["job_id"]) for one in stopped] == [
        (["workflows", "digest"], opt_out.headers["rollbook-job-id"])
    ]
    assert api.get(f"/v1/messages/{body['id']}").status_code == 404
    assert api.get(f"/v1/messages/{body['id']}/explanation").json() == body


def test_what_is_not_there_is_not_found(api: httpx.Client) -> None:
    for path in ("/v1/users/never/explanation", "/v1/messages/x/explanation", "/v1/jobs/x/explanation?recipient=ann"):
        assert api.get(path).status_code == 404
    assert api.get("/v1/jobs/x/explanation").status_code == 422


def test_a_key_of_browsers_explains_nothing(server: RunningServer) -> None:
    with httpx.Client(base_url=server.url) as anyone:
        assert anyone.get("/v1/users/why/explanation").status_code == 401
