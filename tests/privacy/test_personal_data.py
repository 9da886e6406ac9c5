"""Every feature runs with marked values, and no log, span, page, listing or error contains one of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
from celery import Celery
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from tests.support.python_processes import run_python, spawn_python
from tests.support.repository import ROOT
from tests.support.tracing.traced_app import Lines
from tests.support.waits import DEADLINE_SECONDS, wait_until
from tests.support.worker_processes import Workers

from rollbook import Rollbook, RollbookError
from rollbook.outbox import create_table
from rollbook_ops.devstack import processes
from rollbook_ops.devstack.endpoint import LOOPBACK, free_port
from rollbook_shared.jobs.celery_task import DEFAULT_QUEUE, TASKS
from rollbook_shared.observability import tracing

MARK: Final = "Marked-4711"
PEOPLE: Final = [f"{MARK}-{number}@example.com" for number in range(4)]
VALUES: Final[dict[str, Any]] = {
    "email": PEOPLE[0],
    "name": MARK,
    "avatar": f"https://example.com/{MARK}.png",
    "plan": MARK,
    "address": {"city": [MARK]},
}
PAGES: Final = [
    "/api/tasks?limit=1000",
    "/api/workers?refresh=true",
    "/api/queues/length",
    "/api/task/types",
    "/metrics",
    "/tasks",
    "/workers",
    "/broker",
]


class Seen:
    """What there was to be seen, by where."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}


@pytest.fixture(scope="module")
def seen(new_database: Any, servers: Any, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """Do everything once, and gather what people could see of it."""
    folder, database_url, broker_url = tmp_path_factory.mktemp("seen"), new_database(), f"{servers.broker_url[:-1]}0"
    environment = {
        **os.environ,
        "ROLLBOOK_DATABASE_URL": database_url,
        "ROLLBOOK_BROKER_URL": broker_url,
        "PYTHONPATH": str(ROOT),
    }
    port = free_port()
    seen, workers = Seen(), Workers(database_url, broker_url, folder)
    others: dict[str, subprocess.Popen[bytes]] = {}

    def start(name: str, *args: str, **more: str) -> None:
        others[name] = spawn_python(args, log=folder / f"{name}.log", env=environment | more)

    try:
        flower = ["-m", "rollbook_worker.dashboard", f"--address={LOOPBACK}", f"--port={port}", "--logging=debug"]
        start("flower", *flower, FLOWER_UNAUTHENTICATED_API="true")
        wait_until(lambda: _page(port, "/healthcheck"), what="Flower")
        workers.spawn(
            "debug",
            threads=2,
            loglevel="DEBUG",
            app="tests.support.privacy.observed_app",
            ROLLBOOK_LOCK_TIMEOUT_SECONDS="0.2",
            PYTHONPATH=str(ROOT),
            WATCHED_LOG=str(folder / "debug-json.log"),
            TRACED_SPANS=str(folder / "worker-spans.log"),
        )
        workers.start_maintenance(ROLLBOOK_LOG_FORMAT="json")
        with psycopg.connect(database_url) as connection:
            create_table(connection.execute)
        relay = (
            "import sys, tests.support.tracing.traced_app; from rollbook_ops.relay.relay import main; sys.exit(main())"
        )
        start("relay", "-c", relay, ROLLBOOK_LOG_FORMAT="json", TRACED_SPANS=str(folder / "relay-spans.log"))
        with traced(folder / "application-spans.log"), Rollbook(database_url=database_url, broker_url=broker_url) as rb:
            seen.texts["errors"] = "\n".join(_do_everything(rb, database_url, broker_url, folder / "debug.log"))
            wait_until(lambda: len(rb.jobs.list_dead_letters().items) >= 5, what="five dead letters")
            dead_letter = rb.jobs.list_dead_letters().items[0]
            seen.texts["dead letters"] = repr(rb.jobs.list_dead_letters()) + repr(
                rb.jobs.get_dead_letter(dead_letter.id, key=dead_letter.key)
            )
        listings = (["dead"], ["dead", "--json"], ["deferred"], ["get", "job-1"], ["wait", "job-1"])
        for arguments in listings:
            command = ("-c", "from rollbook_ops.cli import main; main()", "jobs", *arguments)
            said = run_python(*command, env=environment)
            seen.texts[f"rollbook jobs {' '.join(arguments)}"] = said.stdout + said.stderr
        wait_until(lambda: "rollbook.merge" in _page(port, "/api/tasks?limit=1000"), what="Flower's view of the merge")
        for page in PAGES:
            seen.texts[f"Flower {page}"] = _page(port, page)
        for task in json.loads(_page(port, "/api/tasks?limit=1000")):
            seen.texts[f"Flower /task/{task}"] = _page(port, f"/api/task/info/{task}") + _page(port, f"/task/{task}")
    finally:
        for process in others.values():
            processes.stop(process, by=signal.SIGKILL)
        workers.stop()
    for log in sorted(folder.glob("*.log")):
        seen.texts[log.name] = log.read_text(errors="replace")
    return seen


@contextmanager
def traced(path: Path) -> Iterator[None]:
    """This process' spans are written down."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(Lines(path)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tracing, "_tracer", provider.get_tracer("test"))
        yield


def test_every_place_was_observed(seen: Seen) -> None:
    assert "rollbook.identify" in seen.texts["Flower /api/tasks?limit=1000"]
    assert "rollbook.trigger" in seen.texts["debug.log"]
    assert "DEBUG" in seen.texts["debug.log"]
    assert "retrying" in seen.texts["debug.log"]
    assert "malformed" in seen.texts["rollbook jobs dead"]
    assert {"debug.log", "maintenance.log", "relay.log", "flower.log"} <= seen.texts.keys()
    assert seen.texts["errors"].count("\n") >= 8
    assert '"event": "relay: started"' in seen.texts["relay.log"]
    assert '"level": "debug"' in seen.texts["debug-json.log"]
    assert '"job_id": "job-1"' in seen.texts["debug-json.log"]
    for place, name in (
        ("application", "send rollbook.trigger"),
        ("application", "create rollbook.identify"),
        ("relay", "send rollbook.identify"),
        ("worker", "rollbook.merge"),
        ("worker", "rollbook.batch"),
    ):
        assert f'"name": "{name}"' in seen.texts[f"{place}-spans.log"]


def test_no_observed_place_contains_personal_data(seen: Seen) -> None:
    places = {
        where: text[max(0, at - 150) : at + 150]
        for where, text in seen.texts.items()
        if (at := text.lower().find(MARK.lower())) >= 0
    }

    assert places == {}


def _do_everything(rb: Rollbook, database_url: str, broker_url: str, log: Path) -> list[str]:
    """Return what the errors said."""
    ann, bo, cy, dee = PEOPLE
    jobs = [
        rb.users.identify(ann, VALUES, job_id="job-1"),
        rb.users.bulk_identify([{"id": bo, **VALUES}, {"id": cy, "name": MARK}]),
        rb.users.set_preferences(ann, "default", {"workflows": {"news": False}}),
        rb.users.set_channel_data(ann, "apns", {"tokens": [MARK]}),
        rb.users.bulk_set_preferences([ann, bo], MARK, {"channel_types": {"push": False}}),
        rb.workflows.trigger("hello", [ann, {"id": dee, **VALUES}, f"{MARK}-unknown"], actor=bo, data={"note": MARK}),
        rb.workflows.trigger("later", [ann], data={"note": MARK}, delay=timedelta(seconds=1)),
        rb.users.merge(ann, bo),
        rb.users.delete(cy),
        rb.users.unset_channel_data(ann, "apns"),
    ]
    for job in jobs:
        job.wait(DEADLINE_SECONDS)
    (message,) = rb.messages.list(dee).items
    rb.messages.mark([message.id], "read").wait(DEADLINE_SECONDS)
    with psycopg.connect(database_url) as connection:
        rb.outbox(connection).users.identify(dee, VALUES, job_id="job-2")
    rb.jobs.wait("job-2", DEADLINE_SECONDS)
    with psycopg.connect(database_url) as locker:
        locker.execute("LOCK TABLE rollbook.users")
        waiting = rb.users.identify(ann, VALUES)
        wait_until(lambda: "retrying" in log.read_text(), what="an attempt that meets the lock")
    waiting.wait(DEADLINE_SECONDS)
    _send_what_is_no_job(broker_url)
    rb.users.identify(dee, {"plan": "another"}, job_id="job-1")

    calls = [
        lambda: rb.users.identify(MARK * 100, {"email": MARK, "phone_number": MARK, "plan": {"a": object()}}),
        lambda: rb.users.identify("#" + MARK, {"name": MARK + "\0"}, job_id=MARK + "/"),
        lambda: rb.users.bulk_identify([{"id": MARK, "email": MARK}, MARK]),  # type: ignore[list-item]
        lambda: rb.workflows.trigger("w", [MARK + "#"], data={"a": MARK + "\0"}),
        lambda: rb.users.get(bo),
        lambda: rb.users.get(f"{MARK}-unknown"),
        lambda: rb.jobs.get_dead_letter("nothing"),
        lambda: Rollbook(broker_url="redis://127.0.0.1:1/0").users.identify(ann, VALUES),
        lambda: Rollbook(database_url="postgresql://x@127.0.0.1:1/x").users.get(ann),
        lambda: rb.users.list(where={"email": 7, "plan": MARK}),
    ]
    return [_error(call) for call in calls]


def _error(call: Any) -> str:
    with pytest.raises(RollbookError) as failure:
        call()
    return f"{failure.value} {failure.value!r}".replace("\n", " ")


def _send_what_is_no_job(broker_url: str) -> None:
    job = {"v": 1, "kind": "identify", "id": "job-3", "occurred_at": 5, "user": {"id": MARK, "traits": {"email": MARK}}}
    with Celery(broker=broker_url, set_as_current=False) as stranger:
        for args in ([MARK], [json.dumps(job)], [json.dumps({**job, "v": 9})], [{"id": MARK}], [MARK, MARK]):
            stranger.send_task(TASKS["identify"], args=args, queue=DEFAULT_QUEUE, ignore_result=True)
        stranger.send_task(TASKS["delete"], kwargs={"user": MARK}, queue=DEFAULT_QUEUE, ignore_result=True)
        stranger.send_task("other.task", args=[MARK], queue=DEFAULT_QUEUE, ignore_result=True)
        stranger.send_task("rollbook.fly", args=[MARK], queue=DEFAULT_QUEUE, ignore_result=True)
        stranger.conf.accept_content = ["pickle"]
        stranger.send_task(TASKS["identify"], args=[MARK], queue=DEFAULT_QUEUE, serializer="pickle", ignore_result=True)


def _page(port: int, path: str) -> str:
    try:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{port}{path}", timeout=DEADLINE_SECONDS) as answer:
            return str(answer.read().decode(errors="replace"))
    except OSError:
        return ""
