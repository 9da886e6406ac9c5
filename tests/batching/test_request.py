"""The request of a job in a batch is Celery's request, as soon as something asks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from celery.worker import state
from kombu.transport.virtual.base import Message

from rollbook_worker.app import app
from rollbook_worker.celery_ext.batching.request import BatchedRequest
from rollbook_worker.celery_ext.request import RollbookRequest
from rollbook_worker.celery_ext.transport.plain_message import DeliveredMessage, PlainMessage

app.loader.import_default_modules()
TASK = app.tasks["rollbook.identify"]
PAYLOAD = [["the job"], {}, {}]
OPTIONS = {"app": app, "hostname": "w@h", "connection_errors": (ConnectionError,)}
LATER = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
HEADERS: dict[str, dict[str, Any]] = {
    "plain": {},
    "shadow": {"shadow": "rollbook.newer"},
    "with what a batch ignores": {"root_id": "root", "parent_id": "parent", "replaced_task_nesting": 2},
    "expires": {"expires": LATER},
    "time limit": {"timelimit": [3, None]},
}
NAMES = (
    *("id", "name", "type", "root_id", "parent_id", "argsrepr", "kwargsrepr", "args", "kwargs", "hostname", "body"),
    *("task", "app", "utc", "eta", "expires", "time_limits", "delivery_info", "correlation_id", "reply_to", "groups"),
    *("content_type", "content_encoding", "ignore_result", "connection_errors", "on_ack", "on_reject", "request_dict"),
    *("stamped_headers", "stamps", "replaced_task_nesting", "acknowledged", "time_start", "worker_pid", "eventer"),
)


def on_ack(*_: object) -> None: ...


def on_reject(*_: object) -> None: ...


def envelope_with(headers: dict[str, Any]) -> dict[str, Any]:
    return {
        "body": "[]",
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"task": TASK.name, "id": "job-1", "argsrepr": "(ann)", "kwargsrepr": "{}", **headers},
        "properties": {
            "delivery_tag": "tag",
            "correlation_id": "job-1",
            "delivery_info": {"exchange": "", "routing_key": "default"},
        },
    }


def message_with(headers: dict[str, Any]) -> Any:
    return Message(  # type: ignore[no-untyped-call]
        envelope_with(headers),
        channel=SimpleNamespace(message_to_python=lambda message: message, decode_body=lambda body, encoding: body),
    )


def batched(headers: dict[str, Any], eventer: object = None) -> BatchedRequest:
    message = message_with(headers)
    return BatchedRequest(
        message.headers,
        PAYLOAD,
        message=message,
        on_ack=on_ack,
        on_reject=on_reject,
        task=TASK,
        eventer=eventer,
        options=OPTIONS,
    )


def made_on_demand(headers: dict[str, Any], called: list[object]) -> BatchedRequest:
    """The same, without a message so far; what is called soon is noted."""
    delivered = DeliveredMessage(envelope_with(headers), "tag", 700, SimpleNamespace(Message=PlainMessage))
    return BatchedRequest(
        delivered.envelope["headers"],
        PAYLOAD,
        delivered=delivered,
        call_soon=lambda call, *_: called.append(call),
        task=TASK,
        eventer=None,
        options=OPTIONS,
    )


@pytest.mark.parametrize("headers", HEADERS.values(), ids=HEADERS)
@pytest.mark.parametrize("name", NAMES)
def test_each_attribute_is_that_of_celerys_request(headers: dict[str, Any], name: str) -> None:
    """Asked for first, so that it alone makes the rest, if it has to."""
    whole = RollbookRequest(
        message := message_with(headers),
        on_ack=on_ack,
        on_reject=on_reject,
        task=TASK,
        body=PAYLOAD,
        headers=message.headers,
        decoded=True,
        **OPTIONS,
    )

    assert getattr(batched(headers), name) == getattr(whole, name)
    if name not in ("on_ack", "on_reject"):
        assert getattr(made_on_demand(headers, []), name) == getattr(whole, name)


def test_a_message_that_is_made_on_demand_is_settled_as_celerys_consumer_does_it() -> None:
    called: list[object] = []
    request = made_on_demand({}, called)
    request.acknowledge()
    request.on_reject(None, (), False)  # type: ignore[no-untyped-call]

    assert called == [request.message.ack_log_error, request.message.reject_log_error]


def test_celery_inspect_shows_it() -> None:
    shown = batched({}).info()

    assert (shown["id"], shown["name"], shown["args"], shown["hostname"]) == ("job-1", TASK.name, "(ann)", "w@h")


def test_what_was_set_before_the_rest_is_made_stays() -> None:
    """Celery gives requests the dispatcher of a new connection."""
    request = batched({}, eventer="old")
    request.eventer = "new"
    request.begin(4711, 12.5)

    assert request.hostname == "w@h"
    assert (request.eventer, request.worker_pid, request.time_start) == ("new", 4711, 12.5)


def test_an_unknown_attribute_is_missing() -> None:
    request = batched({})

    assert not hasattr(request, "no_such_name")
    assert not hasattr(request, "no_such_name")
    assert request.hostname == "w@h"


@pytest.mark.parametrize("how", ["by id", "expired", "not"])
def test_revoked_jobs_are_noticed(how: str) -> None:
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    request = batched({"expires": past} if how == "expired" else {})
    if how == "by id":
        state.revoked.add("job-1")
    try:
        assert request.is_revoked() is (how != "not")
        assert request.is_revoked() is (how != "not")
    finally:
        state.reset_state()
