"""Flower as docker-compose.yml starts it shows nothing without the password."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, Error
from tests.support.brokers import connect_to_broker
from tests.support.dashboard.browser import Tasks
from tests.support.python_processes import spawn_python
from tests.support.repository import ROOT
from tests.support.transport.harness import envelope
from tests.support.waits import wait_until
from tests.support.yaml_files import load_yaml

from rollbook_ops.devstack import processes
from rollbook_ops.devstack.endpoint import LOOPBACK, free_port
from rollbook_ops.devstack.flower import flower_is_healthy

COMPOSE: Final = load_yaml((ROOT / "docker-compose.yml").read_text())
FLOWER: Final[dict[str, Any]] = COMPOSE["services"]["flower"]
USER, PASSWORD = "reader", "correct-horse"


@pytest.fixture(scope="module")
def flower(broker_url: str, chromium_browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start Flower with the command of the file, on another port, and return its URL. No worker is needed."""
    assert {"ROLLBOOK_BROKER_URL", "FLOWER_BASIC_AUTH"} <= FLOWER["environment"].keys()
    port, folder = free_port(), tmp_path_factory.mktemp("flower")
    options = [option for option in FLOWER["command"][1:] if not option.startswith(("--address", "--port"))]
    flower = spawn_python(
        [*options, f"--address={LOOPBACK}", f"--port={port}"],
        log=folder / "flower.log",
        env={**os.environ, "ROLLBOOK_BROKER_URL": broker_url, "FLOWER_BASIC_AUTH": f"{USER}:{PASSWORD}"},
    )
    try:
        wait_until(lambda: flower_is_healthy(f"http://{LOOPBACK}:{port}"), what="Flower")
        yield f"http://{LOOPBACK}:{port}"
    finally:
        processes.stop(flower)


@pytest.mark.parametrize("path", ["/tasks", "/workers", "/task/some-id", "/api/tasks", "/metrics"])
@pytest.mark.parametrize("password", [None, "wrong"])
def test_without_the_password_nothing_is_shown(
    chromium_browser: Browser, flower: str, path: str, password: str | None
) -> None:
    credentials = {"username": USER, "password": password} if password else None
    with chromium_browser.new_context(http_credentials=credentials) as context:  # type: ignore[arg-type]
        page, answers = context.new_page(), list[int]()
        page.on("response", lambda answer: answers.append(answer.status))

        with suppress(Error):  # a browser without a user to ask for the password gives up
            page.goto(f"{flower}{path}")

        assert set(answers) == {401}
        assert page.locator("table").count() == 0


def test_the_browser_is_asked_for_the_password(chromium_browser: Browser, flower: str) -> None:
    with chromium_browser.new_context() as context:
        answer = context.request.get(f"{flower}/tasks")

    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Basic")


def test_with_the_password_the_page_is_shown(chromium_browser: Browser, flower: str) -> None:
    credentials = {"username": USER, "password": PASSWORD}
    with chromium_browser.new_context(http_credentials=credentials) as context:  # type: ignore[arg-type]
        tasks = Tasks(context.new_page(), flower)

        assert tasks.open() == {}
        assert "No tasks" in tasks.page.inner_text("#tasks-table")


def test_each_queue_has_its_length_while_no_worker_runs(
    chromium_browser: Browser, flower: str, broker_url: str
) -> None:
    credentials = {"username": USER, "password": PASSWORD}
    # the API does not ask for the password, it only checks it
    header = {"Authorization": f"Basic {b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"}
    with connect_to_broker(broker_url) as broker, chromium_browser.new_context(http_credentials=credentials) as context:  # type: ignore[arg-type]
        broker.lpush("default", *(envelope(number) for number in range(37)))
        broker.lpush("bulk", *(envelope(number) for number in range(5)))
        try:
            page = Tasks(context.new_page(), flower).queues()
            lengths = context.request.get(f"{flower}/api/queues/length", headers=header).json()["active_queues"]
        finally:
            broker.delete("default", "bulk")

        assert page == {"default": "37", "bulk": "5"}
        assert {queue["name"]: queue["messages"] for queue in lengths} == {"default": 37, "bulk": 5}
        assert context.request.get(f"{flower}/metrics", headers=header).ok
