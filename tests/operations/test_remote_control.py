"""Workers obey the remote commands that show something, and no other: each who may publish may send them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery
from celery.worker.control import Panel
from flower.inspector import Inspector
from tests.support.brokers import connect_to_broker
from tests.support.waits import DEADLINE_SECONDS, wait_until
from tests.support.worker_processes import Workers

from rollbook import Rollbook
from rollbook_worker.celery_ext.remote_control import ALLOWED, AllowedCommands

NAME = "worker@acceptance"
ARGUMENTS: dict[str, dict[str, Any]] = {
    "add_consumer": {"queue": "of-another"},
    "cancel_consumer": {"queue": "default"},
    "rate_limit": {"task_name": "rollbook.identify", "rate_limit": "1/h"},
    "time_limit": {"task_name": "rollbook.identify", "soft": 1, "hard": 1},
    "revoke": {"task_id": "controlled"},
    "terminate": {"task_id": "controlled", "signal": "KILL"},
    "revoke_by_stamped_headers": {"headers": {"a": ["b"]}},
    "hello": {"from_node": "other@host", "revoked": ["controlled"]},
    "election": {"id": "e", "topic": "t", "action": {}},
    "query_task": {"ids": ["controlled"]},
}


@pytest.fixture(scope="module")
def shared_workers(database_url: str, broker_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    workers = Workers(database_url, broker_url, tmp_path_factory.mktemp("workers"))
    workers.start()
    yield workers
    workers.stop()


@pytest.fixture
def control(shared_workers: Workers, broker_url: str) -> Iterator[Any]:
    with Celery(broker=broker_url, set_as_current=False) as app:
        yield app.control


def send(control: Any, command: str, **arguments: object) -> Any:
    """Send a command; return the worker's answer."""
    answers = control.broadcast(command, arguments, reply=True, timeout=DEADLINE_SECONDS, limit=1, destination=[NAME])
    return answers[0][NAME]


@pytest.mark.parametrize("command", [*sorted(Panel.data.keys() - ALLOWED), "of-a-later-celery"])
def test_a_worker_rejects_every_other_command(
    control: Any, rb: Rollbook, shared_workers: Workers, command: str
) -> None:
    answer = send(control, command, **ARGUMENTS.get(command, {}))

    assert answer == {"error": "Rollbook's workers do not obey this command"}
    assert f"rejected the remote command {command}" in shared_workers.log()
    assert rb.users.identify("controlled", {"by": command}).wait(DEADLINE_SECONDS).state == "applied"
    assert {queue["name"] for queue in send(control, "active_queues")} == {"default", "bulk"}


def test_a_rejected_revoke_keeps_the_job(control: Any, rb: Rollbook) -> None:
    send(control, "revoke", task_id="kept-job")

    assert rb.users.identify("kept", {}, job_id="kept-job").wait(DEADLINE_SECONDS).state == "applied"
    assert send(control, "revoked") == []


@pytest.mark.parametrize("command", sorted(ALLOWED))
def test_a_worker_answers_what_only_shows_something(control: Any, command: str) -> None:
    assert "error" not in repr(send(control, command, **ARGUMENTS.get(command, {})))[:10]


def test_flower_asks_for_nothing_that_is_rejected() -> None:
    assert set(Inspector.inspect_methods) <= ALLOWED


def test_a_command_of_a_later_version_is_rejected() -> None:
    commands = AllowedCommands({"ping": lambda state: "pong", "erase_all": lambda state: "erased"})

    assert commands["ping"](None) == "pong"
    assert commands["erase_all"](None, state="x", name="y") == {"error": "Rollbook's workers do not obey this command"}


def test_a_worker_asks_no_other_for_what_is_revoked(rb: Rollbook, shared_workers: Workers) -> None:
    """Also if its command line lacks `--without-mingle`: the answer may come from anyone."""
    shared_workers.spawn_python(
        "mingling",
        *(
            "-m",
            "celery",
            "-A",
            "rollbook_worker.app",
            "worker",
            "--queues",
            "bulk",
            "--hostname",
            "mingling@acceptance",
        ),
        *("--pool", "threads", "--concurrency", "1", "--loglevel", "INFO"),
    )

    wait_until(lambda: "mingling@acceptance ready" in shared_workers.log("mingling"), what="the start")
    assert "mingle" not in shared_workers.log("mingling").replace("mingling", "")


@pytest.mark.parametrize(
    "junk",
    [
        b"[]",
        b"7",
        b"null",
        b"{}",
        b"not json",
        b'{"properties": {}}',
        b'{"properties": {"delivery_tag": "x"}, "headers": []}',
    ],
)
def test_a_broken_broadcast_stops_no_worker(
    shared_workers: Workers, broker_url: str, rb: Rollbook, control: Any, junk: bytes
) -> None:
    with connect_to_broker(broker_url) as client:
        number = client.connection_pool.connection_kwargs["db"]
        assert client.publish(f"/{number}.celery.pidbox", junk)

    assert (
        rb.users.identify("beside-junk", {"junk": json.dumps(junk.decode())}).wait(DEADLINE_SECONDS).state == "applied"
    )
    assert send(control, "ping") == {"ok": "pong"}
