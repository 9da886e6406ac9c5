"""The pages of operators in a browser: accessible, as wide as the window, live, without scripts, and a picture."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

import psycopg
import pytest
from playwright.sync_api import Browser, ConsoleMessage, expect
from tests.support.console.browsers import OPEN_ALL, PHONE, WIDE, console_page, picture, pictures
from tests.support.console.operations import GIVEN_UP, dead_job, figures, fill
from tests.support.console.visitors import CONSOLE, Visitor
from tests.support.server.running_server import RunningServer, run_server
from tests.support.waits import DEADLINE_SECONDS

from rollbook import Rollbook
from rollbook_ops.console_tools import console_tools
from rollbook_ops.server_templates import open_renderer
from rollbook_server.settings import ServerSettings
from rollbook_shared.settings import Settings
from rollbook_worker.store import ReceivedJob

PREVIEW: Final = "/templates?user_id=ann&workflow=welcome&channel=email"
HOSTILE_PREVIEW: Final = "/templates?user_id=ann&workflow=hostile&channel=email"
PAGES: Final = (
    "/jobs",
    "/jobs/trigger-1",
    "/jobs/to-many",
    "/jobs/later-1",
    "/dead-letters",
    "/dead-letters?code=invalid",
    "/deferred",
    "/deliveries",
    "/deliveries?state=sent",
    "/templates",
    PREVIEW,
    "/health?doctor=wait",
)
TEMPLATE: Final = '---\nsubject: Hello\n---\n<p style="margin: 0">Hello Ann</p>\n'
HOSTILE: Final = """---
subject: Hello
---
<style>p { color: rgb(1, 2, 3) }</style>
<p style="margin: 0">Hello Ann</p>
<script>window.evil = parent.evil = 1; document.write('<b id="written"></b>')</script>
<meta http-equiv="refresh" content="0; url=https://elsewhere.example/refreshed">
<img src="https://elsewhere.example/pixel.png" alt="">
<object data="https://elsewhere.example/object"></object>
<link rel="stylesheet" href="https://elsewhere.example/style.css">
<a href="https://elsewhere.example/followed">elsewhere</a>
"""


@pytest.fixture(scope="module")
def database_url(crowded_database_url: str) -> str:
    """Instead of an empty one."""
    return crowded_database_url


@pytest.fixture(scope="module")
def server(database_url: str, broker_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder: Path = tmp_path_factory.mktemp("templates")
    for name, text in (("welcome", TEMPLATE), ("hostile", HOSTILE)):
        (folder / name).mkdir()
        (folder / name / "email.html.liquid").write_text(text)
    settings = Settings(database_url=database_url, broker_url=broker_url, templates=str(folder))
    tools = console_tools(settings, ServerSettings(), CONSOLE, open_renderer(settings))
    with run_server(database_url, broker_url, ServerSettings(), console=CONSOLE, tools=tools) as server:
        yield server


@pytest.fixture(scope="module", autouse=True)
def dead_letter_path(server: RunningServer, database_url: str) -> str:
    """The path of the dead letter that is to be edited."""
    fill(server.publisher.store, database_url)
    with Rollbook(database_url=database_url) as rb:
        return f"/console/dead-letters/edit-me/{rb.jobs.get_dead_letter('edit-me').key}"


@pytest.mark.parametrize(("size", "scheme"), [(PHONE, "dark"), (WIDE, "light")], ids=["phone", "wide"])
def test_pages_are_accessible_fit_the_window_and_run_nothing_of_the_data(
    chromium_browser: Browser,
    admin: Visitor,
    server: RunningServer,
    dead_letter_path: str,
    size: dict[str, int],
    scheme: str,
) -> None:
    found: dict[str, list[str]] = {}
    with console_page(chromium_browser, admin, server.url, viewport=size, color_scheme=scheme) as console:
        for path in (*PAGES, f"/deliveries/{GIVEN_UP}", dead_letter_path.removeprefix("/console")):
            page = console.open(path)

            assert page.locator("h1").count() == 1, path
            assert not console.is_too_wide(), path
            assert page.evaluate("window.evil") is None
            page.evaluate(OPEN_ALL)
            if findings := console.accessibility_findings():
                found[path] = findings
        assert console.complaints == []
    assert found == {}


def test_the_html_of_a_message_is_shown_with_its_styles_and_can_do_nothing(
    chromium_browser: Browser, admin: Visitor, server: RunningServer
) -> None:
    asked: list[str] = []
    with console_page(chromium_browser, admin, server.url) as console:
        page = console.page
        page.on("requestfinished", lambda request: asked.append(request.url))
        with ExitStack() as blocked:
            for address in ("pixel.png", "style.css", "elsewhere.example/object"):
                blocked.enter_context(page.expect_console_message(partial(is_violation, address)))
            console.open(HOSTILE_PREVIEW)
        frame = page.frame_locator("iframe.rendered")

        expect(frame.locator("p")).to_have_text("Hello Ann")
        assert frame.locator("p").evaluate("each => getComputedStyle(each).color") == "rgb(1, 2, 3)"
        assert frame.locator("#written").count() == 0
        assert page.evaluate("window.evil") is None
        with page.expect_console_message(lambda message: "frame-src" in message.text):
            frame.locator("a").click(no_wait_after=True)
    assert [url for url in asked if not url.startswith(server.url)] == []


def is_violation(address: str, message: ConsoleMessage) -> bool:
    return address in message.text and "violates" in message.text


def test_the_findings_of_the_doctor_come_by_themselves(
    chromium_browser: Browser, admin: Visitor, server: RunningServer
) -> None:
    with console_page(chromium_browser, admin, server.url) as console:
        page = console.open("/health")

        expect(page.locator("#findings tbody tr").first).to_be_visible()
        assert console.complaints == []


def test_ticked_dead_letters_are_dropped_without_scripts(
    chromium_browser: Browser, admin: Visitor, server: RunningServer
) -> None:
    arrived = [ReceivedJob.of(dead_job(f"ticked-{number}")) for number in range(3)]
    server.publisher.store.apply(arrived, now=time.time_ns() // 1_000)
    with console_page(chromium_browser, admin, server.url, java_script_enabled=False) as console:
        page = console.open("/dead-letters?code=invalid")
        for name in ("ticked-0", "ticked-2"):
            page.get_by_label(name, exact=True).check()
        page.get_by_text("Drop those that are ticked…").click()
        page.get_by_role("button", name="Drop them").click()

        assert "2 dropped" in page.get_by_role("status").inner_text()
        assert page.url.endswith("?code=invalid")
        assert [page.get_by_label(f"ticked-{number}", exact=True).count() for number in range(3)] == [0, 1, 0]


def test_one_box_ticks_all_others(chromium_browser: Browser, admin: Visitor, server: RunningServer) -> None:
    with console_page(chromium_browser, admin, server.url) as console:
        page = console.open("/dead-letters")
        page.get_by_label("Tick all").check()

        boxes = page.locator("input[name=chosen]")
        assert boxes.count() > 2
        assert page.locator("input[name=chosen]:checked").count() == boxes.count()
        assert console.complaints == []


def test_a_picture_shows_the_health(
    chromium_browser: Browser, admin: Visitor, server: RunningServer, tmp_path: Path
) -> None:
    with console_page(
        chromium_browser, admin, server.url, color_scheme="light", viewport={"width": 1280, "height": 860}
    ) as console:
        console.open("/health?doctor=wait")
        file = picture(console, pictures(tmp_path), "console-health-light")

    assert file.stat().st_size > 20_000


def test_the_health_changes_while_one_looks(
    chromium_browser: Browser, admin: Visitor, server: RunningServer, database_url: str
) -> None:
    measured = {**figures(0), "workers": 41, "workers.default": 41}
    with console_page(chromium_browser, admin, server.url) as console:
        page = console.page
        page.goto("/console/health")
        assert page.locator("svg.plot").count() == 13
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute(
                "INSERT INTO rollbook.measurements VALUES (now() + interval '1 second', %s)", (json.dumps(measured),)
            )

        expect(page.locator("#figures")).to_contain_text(re.compile(r"Workers\s*41"), timeout=DEADLINE_SECONDS * 1_000)


def test_a_dead_letter_is_edited_without_scripts(
    chromium_browser: Browser, admin: Visitor, server: RunningServer, dead_letter_path: str
) -> None:
    with console_page(chromium_browser, admin, server.url, java_script_enabled=False) as console:
        page = console.page
        page.goto("/console/dead-letters?code=invalid")
        page.locator(f'a[href="{dead_letter_path}"]').click()
        page.locator("summary", has_text="Show and edit").click()
        body = page.locator("textarea[name=body]")
        job = json.loads(body.input_value())
        job["user"]["traits"]["email"] = "still no address"
        body.fill(json.dumps(job))
        page.get_by_role("button", name="Send the edited job").click()
        assert "e-mail" in page.get_by_role("alert").inner_text()
        job["user"]["traits"] = {"plan": "pro"}
        page.locator("textarea[name=body]").fill(json.dumps(job))
        page.get_by_role("button", name="Send the edited job").click()

        page.wait_for_url("**/console/jobs/edit-me")
        assert "replayed and applied" in page.get_by_role("status").inner_text()
