"""`rollbook up` is ready when it says so, keeps its processes running, and leaves none behind however it ends."""

from __future__ import annotations

import json
import signal
import stat
import tempfile
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from tests.support.command_process import CommandProcess, running_command
from tests.support.console.visitors import Visitor
from tests.support.senders.http_sink import HttpSink, http_sink
from tests.support.waits import DEADLINE_SECONDS, wait_until

from rollbook import Rollbook
from rollbook_ops.devstack.endpoint import reserve
from rollbook_ops.devstack.flower import PORT as FLOWER_PORT
from rollbook_ops.devstack.http_server import PORT as HTTP_PORT

pytestmark = [pytest.mark.slow, pytest.mark.servers]

_URLS = ("ROLLBOOK_BROKER_URL", "ROLLBOOK_DATABASE_URL")
_SERVER = ("ROLLBOOK_SERVER_URL", "ROLLBOOK_SECRET_KEY", "ROLLBOOK_PUBLIC_KEY", "ROLLBOOK_SEGMENT_KEY")
_ALL = (*_URLS, "FLOWER_URL", "CONSOLE_URL", *_SERVER)


def urls(command: CommandProcess, names: Sequence[str] = (*_URLS, "FLOWER_URL")) -> dict[str, str]:
    return {name: command.wait_for(f"{name}=").removeprefix(f"{name}=") for name in names}


def page_status(url: str) -> int:
    """The status of a page, with the password in its URL."""
    parts = urlsplit(url)
    request = urllib.request.Request(without_password(url))
    if parts.username:
        credentials = b64encode(f"{parts.username}:{parts.password}".encode()).decode()
        request.add_header("Authorization", f"Basic {credentials}")
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE_SECONDS) as page:
            return int(page.status)
    except urllib.error.HTTPError as error:
        return error.code


def call_server(
    found: dict[str, str], method: str, path: str, *, key: str, token: str = "", body: Any = None
) -> tuple[int, Any]:
    """The status and the body of a call of the HTTP server."""
    headers = {"authorization": f"Bearer {found[key]}", "x-knock-user-token": token, "content-type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{found['ROLLBOOK_SERVER_URL']}{path}", data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE_SECONDS) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def without_password(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


@pytest.fixture
def webhook() -> Iterator[HttpSink]:
    with http_sink() as sink:
        yield sink


@pytest.fixture
def settings(webhook: HttpSink, tmp_path: Path) -> dict[str, str]:
    """A sender of ours delivers one of the channels."""
    (registry := tmp_path / "registry.toml").write_text(f"""
    [channels.push]
    type = "push"
    delivery = "webhook"
    needs = "nothing"
    [channels.push.options]
    url = "{webhook.url}"
    secret_envs = ["CELERY_OR_ANOTHER_SECRET"]
    allow_private = true
    """)
    return {"ROLLBOOK_REGISTRY": str(registry), "CELERY_OR_ANOTHER_SECRET": "whsec_" + "A" * 44}


@pytest.fixture
def running(settings: dict[str, str]) -> Iterator[CommandProcess]:
    with running_command("up", "--no-server", settings=settings) as command:
        yield command


@pytest.fixture
def forks(settings: dict[str, str]) -> Iterator[CommandProcess]:
    """Everything that `up` starts."""
    with running_command("up", settings=settings, forked=True) as command:
        yield command


@pytest.fixture
def running_with_server() -> Iterator[CommandProcess]:
    with running_command("up") as command:
        yield command


def test_a_second_terminal_can_use_the_stack(running_with_server: CommandProcess) -> None:
    running = running_with_server
    found = urls(running, _ALL)

    with Rollbook(broker_url=found["ROLLBOOK_BROKER_URL"], database_url=found["ROLLBOOK_DATABASE_URL"]) as rollbook:
        rollbook.users.identify("guest", {"plan": "pro"})
        rollbook.users.bulk_identify([{"id": "ann", "email": "ann@example.com"}])
        rollbook.users.merge("ann", "guest").wait(DEADLINE_SECONDS)
        job = rollbook.users.identify("ann", {"seats": 2})
        assert job.wait(DEADLINE_SECONDS).state == "applied"
        assert rollbook.users.get("ann").properties["seats"] == 2
    assert page_status(f"{found['FLOWER_URL']}/workers") == 200
    assert page_status(f"{without_password(found['FLOWER_URL'])}/workers") == 401

    check_http_server(running, found)
    developer = Visitor(found["ROLLBOOK_SERVER_URL"])
    link = urlsplit(found["CONSOLE_URL"])
    token = parse_qs(link.query)["token"][0]
    page = f"{link.path.removeprefix('/console')}?{link.query}"
    assert developer.post("/login/link", {"token": token}, on=page).status_code == 303
    assert "ann@example.com" in developer.get("/users").text
    assert developer.get("/accounts").status_code == 200

    running.process.send_signal(signal.SIGINT)
    assert running.wait() == 0
    assert running.left_behind() == []


def test_a_killed_worker_is_started_again_and_loses_no_job(running: CommandProcess, webhook: HttpSink) -> None:
    found = urls(running)
    running.wait_for("ready")
    (worker,) = [each for each in running.left_behind() if "--queues" in each.cmdline() and "default" in each.cmdline()]

    worker.kill()

    with Rollbook(broker_url=found["ROLLBOOK_BROKER_URL"], database_url=found["ROLLBOOK_DATABASE_URL"]) as rollbook:
        assert rollbook.users.identify("ann", {"seats": 2}).wait(DEADLINE_SECONDS).state == "applied"
        rollbook.workflows.trigger("hello", ["ann"], channels=("push",))
        wait_until(lambda: webhook.posts, what="the message")
    line = running.wait_for("started it again")
    assert line.startswith("worker-default-1 ended by itself (killed by SIGKILL); started it again; its log: ")
    assert line.endswith("worker-default-1.log")


def test_a_server_that_ends_is_named_and_ends_everything(forks: CommandProcess) -> None:
    urls(forks)
    (server,) = [each for each in forks.left_behind() if each.name() in ("valkey-server", "redis-server")]

    server.kill()

    assert forks.wait() == 1
    assert "valkey ended by itself (killed by SIGKILL); its log" in "".join(forks.lines)
    assert forks.left_behind() == []


def test_a_killed_stack_leaves_no_process(forks: CommandProcess) -> None:
    urls(forks)

    forks.process.kill()

    forks.process.wait(DEADLINE_SECONDS)
    forks.assert_nothing_is_left()


def test_data_and_urls_stay_for_the_next_run_even_if_its_urls_are_exported() -> None:
    for port in (FLOWER_PORT, HTTP_PORT):
        # other runs on this machine, which may have them now, have them neither during this test nor between its runs
        wait_until(partial(reserve, port), what=f"reserving port {port}")
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o711)  # the servers run as another account when the tests run as root
        first = keep_one_user(Path(name) / "data", write=True, exported={})

        exported = {name: first[name] for name in _URLS}
        assert keep_one_user(Path(name) / "data", write=False, exported=exported) == first


def check_http_server(running: CommandProcess, found: dict[str, str]) -> None:
    """Another language can use the server with the keys that are printed."""
    private_key = Path(running.wait_for("the private key in ").rpartition(" in ")[2])
    token = jwt.encode({"sub": "ann", "exp": time.time() + DEADLINE_SECONDS}, private_key.read_text(), "RS256")

    written = call_server(found, "PUT", "/v1/users/ann", key="ROLLBOOK_SECRET_KEY", body={"plan": "pro"})
    read = call_server(found, "GET", "/v1/users/ann", key="ROLLBOOK_PUBLIC_KEY", token=token)
    foreign = call_server(found, "GET", "/v1/users/bob", key="ROLLBOOK_PUBLIC_KEY", token=token)
    call = {"userId": "cy", "traits": {"plan": "free"}, "writeKey": found["ROLLBOOK_SEGMENT_KEY"]}
    sent = call_server(found, "POST", "/v1/identify", key="ROLLBOOK_SEGMENT_KEY", body=call)

    assert written[1]["plan"] == read[1]["plan"] == "pro"
    assert (read[0], foreign[0]) == (200, 403)
    assert sent == (200, {"success": True, "rejected": [], "skipped": {}})
    assert stat.S_IMODE(private_key.stat().st_mode) == 0o600
    (server,) = [each for each in running.left_behind() if "serve" in each.cmdline()]
    assert not any(found[key] in " ".join(server.cmdline()) for key in _SERVER[1:])


def keep_one_user(data_dir: Path, *, write: bool, exported: dict[str, str]) -> dict[str, str]:
    """Run `up` once; write a user, or check that it exists."""
    as_json = [] if write else ["--json"]
    with running_command("up", "--data-dir", data_dir, *as_json, settings=exported, forked=True) as command:
        found: dict[str, str] = json.loads(command.wait_for("{")) if as_json else urls(command, _ALL)
        with Rollbook(broker_url=found["ROLLBOOK_BROKER_URL"], database_url=found["ROLLBOOK_DATABASE_URL"]) as rollbook:
            if write:
                rollbook.users.identify("ann", {"plan": "pro"}).wait(DEADLINE_SECONDS)
            assert rollbook.users.get("ann").properties == {"plan": "pro"}
        command.process.send_signal(signal.SIGTERM)
        assert command.wait() == 0
    return {name: url for name, url in found.items() if name != "CONSOLE_URL"}  # a link is for one login
