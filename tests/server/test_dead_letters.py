"""Dead letters and measurements over HTTP: two operators at once, edits, and what is wrong with a request."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
from tests.support.server.running_server import PUBLIC_KEY, RunningServer
from tests.support.waits import DEADLINE_SECONDS

from rollbook_shared.jobs.codec import VERSION
from rollbook_worker.store import ReceivedJob

PATH = "/v1/dead_letters"


def bad(job_id: str) -> str:
    user = f'{{"id":"{job_id}","traits":{{"email":"no address"}}}}'
    return f'{{"v":{VERSION},"id":"{job_id}","kind":"identify","occurred_at":1000,"user":{user}}}'


def good(job_id: str) -> dict[str, object]:
    return {"id": job_id, "kind": "identify", "occurred_at": 1000, "user": {"id": job_id, "traits": {"plan": "pro"}}}


def arrive(server: RunningServer, *messages: str) -> None:
    server.publisher.store.apply([ReceivedJob.of(message) for message in messages], now=time.time_ns() // 1_000)


def test_a_dead_letter_is_found_read_edited_and_replayed(server: RunningServer, api: httpx.Client) -> None:
    arrive(server, bad("edit-me"))

    counts = api.get(f"{PATH}/counts").json()["items"]
    listed = api.get(PATH, params={"code": "invalid"}).json()["items"]
    shown = api.get(f"{PATH}/edit-me").json()
    replayed = api.post(f"{PATH}/edit-me/replay", json={"body": good("edit-me")})

    assert [each["code"] for each in counts if each["code"] == "invalid"] == ["invalid"]
    assert [(each["id"], each["body"]) for each in listed if each["id"] == "edit-me"] == [("edit-me", None)]
    assert shown["body"] == bad("edit-me")
    assert (replayed.status_code, replayed.json()["state"]) == (200, "applied")
    assert api.get(f"{PATH}/edit-me").status_code == 404
    assert api.get("/v1/users/edit-me").json()["plan"] == "pro"


def test_of_two_operators_one_is_answered_with_a_conflict(server: RunningServer, api: httpx.Client) -> None:
    arrive(server, bad("contended"))
    sent = len(server.publisher.published)
    server.publisher.workers_are_away = True
    try:
        with ThreadPoolExecutor(1) as other:
            first = other.submit(api.post, f"{PATH}/contended/replay", json={"body": good("contended"), "timeout": 20})
            while len(server.publisher.published) == sent and not first.done():
                threading.Event().wait(0.005)
            second = api.post(f"{PATH}/contended/replay", json={"body": good("contended")})
            dropped = api.delete(f"{PATH}/contended")
            server.publisher.workers_are_away = False
            server.publisher.apply()
            assert first.result(DEADLINE_SECONDS).json()["state"] == "applied"
    finally:
        server.publisher.workers_are_away = False

    assert [answer.status_code for answer in (second, dropped)] == [409, 409]
    assert second.json()["code"] == "replay_conflict"
    assert len(server.publisher.published) == sent + 1


def test_a_replay_that_is_not_finished_in_time_says_so(server: RunningServer, api: httpx.Client) -> None:
    arrive(server, bad("slow"))
    server.publisher.workers_are_away = True

    answer = api.post(f"{PATH}/slow/replay", json={"body": good("slow"), "timeout": 0})
    server.publisher.workers_are_away = False
    server.publisher.apply()

    assert (answer.status_code, answer.json()["code"]) == (503, "job_timeout")
    assert api.delete(f"{PATH}/slow").status_code == 204
    assert api.delete(f"{PATH}/slow").status_code == 404


def test_many_dead_letters_are_replayed_and_dropped(server: RunningServer, api: httpx.Client) -> None:
    api.post(f"{PATH}/drop", json={"code": "invalid"})
    arrive(server, bad("one"), bad("two"))

    report = api.post(f"{PATH}/replay", json={"code": "invalid", "limit": 1}).json()
    dropped = api.post(f"{PATH}/drop", json={"code": "invalid", "until": "2999-01-01T00:00:00Z"}).json()

    assert [each["id"] for each in report["unsent"]] == ["one"]
    assert report["after"]
    assert dropped == {"dropped": 2}


def test_what_is_wrong_is_named(api: httpx.Client, server: RunningServer) -> None:
    arrive(server, bad("wrong"))
    answers = [
        api.get(PATH, params={"code": "No code"}),
        api.post(f"{PATH}/replay", json={"code": "invalid", "limit": 0}),
        api.post(f"{PATH}/drop", json={"code": "invalid", "until": "yesterday"}),
        api.post(f"{PATH}/wrong/replay", json={"timeout": 21}),
        api.post(f"{PATH}/wrong/replay", json={"body": {**good("wrong"), "kind": "none"}}),
        api.get("/v1/measurements", params={"since": "now"}),
    ]

    assert {answer.status_code for answer in answers} == {422}
    assert [answer.json()["errors"][0]["field"] for answer in answers] == [
        "code",
        "limit",
        "until",
        "timeout",
        "body",
        "since",
    ]
    with server.client(PUBLIC_KEY) as browser:
        assert browser.get(f"{PATH}/counts").status_code == 401


def test_jobs_and_measurements_are_listed(server: RunningServer, api: httpx.Client) -> None:
    api.put("/v1/users/listed", json={"plan": "pro"})
    assert server.publisher.store is not None

    jobs = api.get("/v1/jobs", params={"state": "applied", "user_id": "listed"}).json()["items"]
    measurements = api.get("/v1/measurements", params={"since": "2026-01-01T00:00:00Z"}).json()

    assert [(job["kind"], job["trace_id"]) for job in jobs] == [("identify", None)]
    assert measurements == {"items": []}
