"""The pages of operators in a browser: as wide as the window, live, and without scripts."""

from __future__ import annotations

import json
import re

import psycopg
import pytest
from playwright.sync_api import Browser, expect
from tests.support.console.browsers import console_page
from tests.support.console.operations import GIVEN_UP, figures, fill
from tests.support.console.visitors import Visitor
from tests.support.server.running_server import RunningServer
from tests.support.waits import DEADLINE_SECONDS

from rollbook import Rollbook


@pytest.fixture(scope="module", autouse=True)
def dead_letter_path(server: RunningServer, database_url: str) -> str:
    """The path of the dead letter that is to be edited."""
    fill(server.publisher.store, database_url)
    with Rollbook(database_url=database_url) as rb:
        return f"/console/dead-letters/edit-me/{rb.jobs.get_dead_letter('edit-me').key}"


@pytest.mark.parametrize("width", [360, 1280])
def test_pages_are_as_wide_as_the_window_and_run_nothing_of_the_data(
    width: int, chromium_browser: Browser, admin: Visitor, server: RunningServer, dead_letter_path: str
) -> None:
    paths = ["jobs", "jobs/trigger-1", "jobs/later-1", "dead-letters", "deferred", "deliveries", "templates", "health"]
    with console_page(
        chromium_browser,
        admin,
        server.url,
        viewport={"width": width, "height": 800},
        color_scheme="dark",
    ) as console:
        page = console.page
        problems: list[str] = []
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        for path in [*(f"/console/{path}" for path in paths), f"/console/deliveries/{GIVEN_UP}", dead_letter_path]:
            answer = page.goto(path, wait_until="domcontentloaded")

            assert answer is not None
            assert answer.status == 200, path
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
            assert page.evaluate("window.evil") is None
        assert problems == []


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
