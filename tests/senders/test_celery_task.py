"""Messages as tasks of an application's own Celery."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from tests.support.senders.deliveries import CONTENT, ID, channel, delivery, send
from tests.support.virtualenvs import FreshVirtualenv, environment
from tests.support.waits import wait_until

from rollbook_delivery.results import Failed, Sent
from rollbook_delivery.senders.factory import make_sender
from rollbook_delivery.senders.sender import Sender
from rollbook_shared.errors import NotConfigured
from rollbook_shared.registry import DeliveryMethod

APPLICATION = """
import json, sys
from celery import Celery
broker_url, file = sys.argv[1:]
app = Celery("shop", broker=broker_url)

@app.task(name="shop.push", bind=True)
def push(self, delivery):
    with open(file + ".new", "w") as done:
        json.dump({"id": self.request.id, "delivery": delivery}, done)
    import os
    os.rename(file + ".new", file)

app.worker_main(["worker", "--pool=solo", "--queues=push", "--without-gossip", "--without-mingle", "--loglevel=INFO"])
"""


def sender(broker_url: str, **options: Any) -> Sender:
    given = {"task": "shop.push", "queue": "push", "broker_env": "SHOP_BROKER"} | options
    found = make_sender(channel(DeliveryMethod.CELERY, given, key="push", type="push"), {"SHOP_BROKER": broker_url})
    assert found is not None
    return found


def test_a_message_is_a_task_of_its_id(broker_url: str) -> None:
    ours = delivery(tokens=("t1",))

    assert send(sender(broker_url, key_prefix="shop:"), ours) == [Sent()]

    with redis.Redis.from_url(broker_url) as client:
        (text,) = client.lrange("shop:push", 0, -1)
    message = json.loads(text)
    headers = message["headers"]
    assert (headers["task"], headers["id"]) == ("shop.push", ID)
    assert datetime.fromisoformat(headers["expires"]) == ours.occurred_at + timedelta(hours=1)
    assert message["properties"]["body_encoding"] == "base64"
    ((argument,), keywords, _) = json.loads(base64.b64decode(message["body"]))
    assert argument == json.loads(json.dumps(ours.as_dict())) | {"content": CONTENT.as_dict()}
    assert keywords == {}


def test_monitors_see_nothing_of_the_message(broker_url: str) -> None:
    send(sender(broker_url, queue="seen", expires=False))

    with redis.Redis.from_url(broker_url) as client:
        (text,) = client.lrange("seen", 0, -1)
    headers = json.loads(text)["headers"]
    assert headers["argsrepr"] == "workflow comment, channel mail"
    assert headers["expires"] is None
    assert "ann@" not in json.dumps(headers)
    assert headers["kwargsrepr"] == ""


def test_a_broker_that_is_away_is_an_outage() -> None:
    (result,) = send(sender("redis://127.0.0.1:1/0"))

    assert isinstance(result, Failed)
    assert (result.outage, result.permanent) == (True, False)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"task": ""}, "task: "),
        ({"task": "a b"}, "task: "),
        ({"broker_env": "MISSING"}, "MISSING, which is not set"),
        ({"retries": 3}, "retries: is not a known field"),
    ],
)
def test_options_are_checked_at_the_start(options: dict[str, Any], error: str) -> None:
    with pytest.raises(NotConfigured) as raised:
        sender("redis://127.0.0.1:1/0", **options)

    assert error in str(raised.value)


def test_the_broker_must_be_a_redis() -> None:
    with pytest.raises(NotConfigured, match=r"options\]: SHOP_BROKER: ") as raised:
        sender("amqp://user:hidden@host/")

    assert "hidden" not in str(raised.value)


@pytest.mark.slow
def test_an_application_with_another_celery_runs_the_task(broker_url: str, tmp_path: Path) -> None:
    virtualenv = FreshVirtualenv(tmp_path / "venv")
    installed = virtualenv.install("celery[redis]==5.4.*", "kombu[redis]==5.4.*")
    if installed.returncode != 0:
        pytest.skip(f"Celery 5.4 cannot be installed, is there a package index? {installed.stderr[-300:]}")
    done, log = tmp_path / "done.json", tmp_path / "log"

    assert send(sender(broker_url)) == [Sent()]

    with (
        log.open("w") as output,
        subprocess.Popen(
            [virtualenv.python, "-c", APPLICATION, broker_url, str(done)],
            cwd=tmp_path,
            env=environment() | {"C_FORCE_ROOT": "1", "PATH": os.environ["PATH"]},
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as application,
    ):
        try:
            wait_until(lambda: done.exists() or application.poll() is not None, what="the task")
        finally:
            application.terminate()
    assert done.exists(), log.read_text()
    task = json.loads(done.read_text())
    assert task["id"] == task["delivery"]["id"] == ID
    assert task["delivery"]["content"]["subject"] == CONTENT.subject
    assert "ann@example.com" not in log.read_text()
