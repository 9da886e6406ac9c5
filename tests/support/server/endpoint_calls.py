"""A valid call of every endpoint of the server, as one story of two users; each answer is a success."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx

from rollbook_server.endpoints import ENDPOINTS
from rollbook_shared.jobs.codec import VERSION
from rollbook_worker.store import ReceivedJob, Store

PUSH = "182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e"


@dataclass(frozen=True, kw_only=True, slots=True)
class Answered:
    """A call of an endpoint and its answer."""

    endpoint: str
    """Its name: the method and the path with placeholders."""
    answer: httpx.Response


def call_every_endpoint(api: httpx.Client, segment_key: str, mark: str, store: Store) -> Iterator[Answered]:
    """Call each endpoint at least once.

    api: with a secret key.
    mark: in every id and value that is sent.
    store: that of the workers, which gets jobs that no call of the server sends.
    """
    ann, guest = f"{mark}-ann", f"{mark}-guest"
    user = f"/v1/users/{quote(ann)}"
    template = {"user_id": ann, "set_id": "default", "channel_id": PUSH}

    def call(method: str, path: str, body: Any = None, *, segment: bool = False, **filled: str) -> Answered:
        values = {**template, **filled}
        url = path.format_map({name: quote(value, safe="") for name, value in values.items()})
        auth = (segment_key, "") if segment else None
        headers = {
            "idempotency-key": f"{mark} {method} {url}",
            **({"rollbook-run-at": RUN_AT} if "defer" in filled else {}),
        }
        return Answered(
            endpoint=f"{method} {path}", answer=api.request(method, url, json=body, auth=auth, headers=headers)
        )

    yield call("PUT", "/v1/users/{user_id}", {"name": mark, "email": f"{mark}@example.com", "plan": mark})
    bulk = call("POST", "/v1/users/bulk/identify", {"users": [{"id": guest, "plan": mark}, {"id": f"{mark}-gone"}]})
    yield bulk
    yield call("GET", "/v1/bulk_operations/{operation_id}", operation_id=bulk.answer.json()["id"])
    yield call("POST", "/v1/users/bulk/delete", {"user_ids": [f"{mark}-gone"]})
    sets = {"workflows": {"digest": False}}
    yield call("POST", "/v1/users/bulk/preferences", {"user_ids": [ann], "preferences": sets})
    yield call("GET", "/v1/users/{user_id}")
    yield call("GET", "/v1/users")
    preferences = "/v1/users/{user_id}/preferences"
    yield call("PUT", f"{preferences}/{{set_id}}", sets)
    yield call("PUT", f"{preferences}/{{set_id}}/{{section}}", {"digest": True}, section="workflows")
    one = {"subscribed": True}
    yield call("PUT", f"{preferences}/{{set_id}}/{{section}}/{{key}}", one, section="workflows", key="digest")
    yield call("GET", preferences)
    yield call("GET", f"{preferences}/{{set_id}}")
    yield call("DELETE", f"{preferences}/{{set_id}}")
    channel = "/v1/users/{user_id}/channel_data/{channel_id}"
    yield call("PUT", channel, {"data": {"tokens": [mark]}})
    yield call("GET", channel)
    yield call("DELETE", channel)

    trigger = "/v1/workflows/{key}/trigger"
    run = call("POST", trigger, {"recipients": [ann, guest], "actor": guest, "data": {"text": mark}}, key="comment")
    yield run
    later = {"recipients": [ann], "cancellation_key": mark}
    yield call("POST", trigger, later, key="digest", defer="yes")
    yield call("POST", "/v1/workflows/{key}/cancel", {"cancellation_key": mark}, key="digest")
    yield call("GET", "/v1/jobs/{job_id}", job_id=run.answer.headers["rollbook-job-id"])
    listed = call("GET", "/v1/users/{user_id}/messages")
    yield listed
    message = str(listed.answer.json()["items"][0]["id"])
    for path in ("", "/content", "/activities", "/events", "/delivery_logs"):
        yield call("GET", f"/v1/messages/{{message_id}}{path}", message_id=message)
    yield call("GET", "/v1/messages/{message_id}/explanation", message_id=message)
    run_id = run.answer.headers["rollbook-job-id"]
    explained = api.get(f"/v1/jobs/{run_id}/explanation", params={"recipient": ann})
    yield Answered(endpoint="GET /v1/jobs/{job_id}/explanation", answer=explained)
    yield call("GET", "/v1/users/{user_id}/explanation")
    marked = "/v1/messages/{message_id}/{engagement}"
    yield call("PUT", marked, message_id=message, engagement="seen")
    yield call("DELETE", marked, message_id=message, engagement="seen")
    yield call("POST", "/v1/messages/batch/{engagement}", {"message_ids": [message]}, engagement="read")
    everywhere = "/v1/channels/{channel_id}/messages/bulk/{engagement}"
    yield call("POST", everywhere, {"user_ids": [ann]}, channel_id="in_app", engagement="archived")
    yield call("POST", trigger, {"recipients": [ann], "data": {"text": mark}}, key="welcome")
    claimed = call("POST", "/v1/deliveries/claim", {"channel": "mail"})
    yield claimed
    delivery = claimed.answer.json()["items"][0]
    sent = {"id": delivery["id"], "claim": delivery["claim"], "outcome": "sent"}
    yield call("POST", "/v1/deliveries/report", {"reports": [sent]})
    yield call("GET", "/v1/deliveries/{delivery_id}", delivery_id=delivery["id"])
    yield Answered(endpoint="GET /v1/deliveries", answer=api.get("/v1/deliveries", params={"user_id": ann}))
    for change in ("cancel", "retry"):
        yield call("POST", f"/v1/deliveries/{{delivery_id}}/{change}", delivery_id=delivery["id"])
    yield call("GET", "/v1/jobs")
    yield call("GET", "/v1/deferred_jobs")
    yield call("POST", "/v1/jobs/{job_id}/cancel", job_id=run.answer.headers["rollbook-job-id"])
    yield call("GET", "/v1/measurements")
    feed = "/v1/users/{user_id}/feeds/{channel_id}"
    yield call("GET", feed, channel_id="in_app")
    yield call("GET", f"{feed}/settings", channel_id="in_app")
    with api.stream("GET", f"{user}/feeds/in_app/events") as events:
        yield Answered(endpoint=f"GET {feed}/events", answer=events)
    yield call("POST", "/v1/users/{user_id}/merge", {"from_user_id": guest})
    yield call("DELETE", "/v1/users/{user_id}")

    said = {"userId": ann, "traits": {"plan": mark}, "messageId": mark}
    yield call("POST", "/v1/batch", {"batch": [{"type": "identify", **said}]}, segment=True)
    yield call("POST", "/v1/identify", said, segment=True)
    yield call("POST", "/v1/track", {"userId": ann, "event": "Comment SentWrite", "messageId": mark}, segment=True)
    yield call("POST", "/v1/alias", {"userId": ann, "previousId": guest, "messageId": mark}, segment=True)
    yield from _dead_letters(api, call, store, mark)
    for name in ("group", "page", "screen"):
        yield call("POST", f"/v1/{name}", {"userId": ann, "groupId": mark, "messageId": mark}, segment=True)


def _dead_letters(api: httpx.Client, call: Callable[..., Answered], store: Store, mark: str) -> Iterator[Answered]:
    path = "/v1/dead_letters"
    first, second = (f"dead-{uuid4()}" for _ in range(2))
    bodies = [_dead_job(id_, mark) for id_ in (first, second)]
    store.apply(list(map(ReceivedJob.of, bodies)), now=time.time_ns() // 1_000)
    yield Answered(endpoint=f"GET {path}", answer=api.get(path))
    yield call("GET", f"{path}/counts")
    yield call("GET", f"{path}/{{dead_letter_id}}", dead_letter_id=first)
    corrected = {**json.loads(bodies[0]), "user": {"id": f"{mark}-corrected"}}
    yield call("POST", f"{path}/{{dead_letter_id}}/replay", {"body": corrected}, dead_letter_id=first)
    yield call("DELETE", f"{path}/{{dead_letter_id}}", dead_letter_id=second)
    yield call("POST", f"{path}/replay", {"code": "invalid"})
    yield call("POST", f"{path}/drop", {"code": "invalid"})


def _dead_job(job_id: str, mark: str) -> str:
    user = {"id": f"{mark}-dead", "traits": {"email": mark.replace("@", "")}}
    return json.dumps({"v": VERSION, "id": job_id, "kind": "identify", "occurred_at": 1_000, "user": user})


RUN_AT = (datetime.now(UTC) + timedelta(days=1)).isoformat()
REGISTRY = """
[channels.mail]
type = "email"
delivery = "claim"

[workflows.comment]

[workflows.digest]

[workflows.welcome]
channels = ["mail"]

[events]
"Comment SentWrite" = "comment"
"""
"""What the calls need of a registry."""
ALL = sorted(endpoint.name for endpoint in ENDPOINTS)
"""The names of all endpoints."""
