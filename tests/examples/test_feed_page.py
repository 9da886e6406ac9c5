"""The page with a feed, in a real Chromium: it shows what happens at once, and goes on when its token is exchanged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect
from tests.support.dashboard.browser import browser, chromium
from tests.support.examples.backends import EXAMPLES, Running
from tests.support.server.official_clients import bundle, installed_clients
from tests.support.server.running_server import PRIVATE_PEM, PUBLIC_KEY, RunningServer, run_server
from tests.support.waits import DEADLINE_SECONDS

from rollbook_delivery.templates import Renderer
from rollbook_ops.devstack.endpoint import free_port
from rollbook_ops.feed_templates import FolderFeedTemplates
from rollbook_server.settings import ServerSettings

RENEWED_BEFORE_SECONDS = 30
"""How long before a token expires the client asks for another one."""
WITHIN = DEADLINE_SECONDS * 1_000

OpenPage = Callable[[], Page]


@pytest.fixture(scope="module")
def chromium_browser() -> Iterator[Browser]:
    installed_clients()
    if chromium() is None:
        pytest.skip("Chromium is not installed (Debian: apt-get install chromium)")
    with browser() as running:
        yield running


@pytest.fixture
def port() -> int:
    """Where the page is: another origin than the server."""
    return free_port()


@pytest.fixture
def server(chromium_browser: Browser, database_url: str, broker_url: str, port: int) -> Iterator[RunningServer]:
    settings = ServerSettings(cors_origins=(f"http://127.0.0.1:{port}",))
    templates = FolderFeedTemplates(Renderer(EXAMPLES / "feed_page" / "templates"))
    with run_server(database_url, broker_url, settings, templates=templates) as server:
        yield server


@pytest.fixture
def api(server: RunningServer) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.fixture
def open_page(
    chromium_browser: Browser, server: RunningServer, running: Running, port: int, tmp_path: Path
) -> Iterator[OpenPage]:
    """Opens the page, each time in a browser profile of its own."""
    bundle(EXAMPLES / "feed_page" / "feed.js", tmp_path / "feed.js")
    key = tmp_path / "key.pem"
    key.write_text(PRIVATE_PEM)
    running.backend(
        lambda port: ("-m", "uvicorn", "--app-dir", "feed_page", "app:app", "--port", str(port)),
        port=port,
        PAGE_SCRIPT=str(tmp_path / "feed.js"),
        USER_TOKEN_PRIVATE_KEY=str(key),
        ROLLBOOK_SERVER_URL=server.url,
        ROLLBOOK_PUBLIC_KEY=PUBLIC_KEY,
        TOKEN_SECONDS=str(RENEWED_BEFORE_SECONDS + 3),
    )
    contexts = []

    def open_one() -> Page:
        contexts.append(chromium_browser.new_context())
        page = contexts[-1].new_page()
        page.set_default_timeout(WITHIN)
        page.goto(f"http://127.0.0.1:{port}/")
        return page

    yield open_one
    for context in contexts:
        context.close()


def trigger(api: httpx.Client, text: str, workflow: str = "comment", **body: object) -> None:
    body = {"recipients": ["ann"], "data": {"text": text, "page": "a b/"}, **body}
    assert api.post(f"/v1/workflows/{workflow}/trigger", json=body).status_code == 200


def test_two_browsers_show_messages_and_marks_at_once_and_after_a_new_token(
    open_page: OpenPage, api: httpx.Client
) -> None:
    api.put("/v1/users/ann", json={"name": "Ann"})
    one, other = open_page(), open_page()
    for page in (one, other):
        expect(page.locator("#unread")).to_have_text("0", timeout=WITHIN)

    trigger(api, "hello")
    for page in (one, other):
        expect(page.locator("#items li")).to_have_text(["comment: hello"], timeout=WITHIN)
        expect(page.locator("#unread")).to_have_text("1", timeout=WITHIN)

    one.locator("#items li").click()
    expect(other.locator("#unread")).to_have_text("0", timeout=WITHIN)

    with one.expect_websocket(lambda socket: "/ws/v1/" in socket.url), one.expect_response("**/session"):
        pass  # the client asks for a new token, and opens a socket with it
    trigger(api, "after the new token")
    expect(one.locator("#items li")).to_have_text(["comment: after the new token", "comment: hello"], timeout=WITHIN)
    one.get_by_role("button").click()
    expect(other.locator("#unread")).to_have_text("0", timeout=WITHIN)
    assert api.get("/v1/users/ann/feeds/in_app").json()["meta"]["unread_count"] == 0


def test_a_message_shows_what_its_template_makes_and_what_a_user_wrote_is_text(
    open_page: OpenPage, api: httpx.Client
) -> None:
    page = open_page()
    expect(page.locator("#unread")).to_have_text("0", timeout=WITHIN)
    script = "<img src=x onerror='document.title=1'>"

    trigger(api, script, "reply", recipients=[{"id": "ann"}], actor={"id": "bo", "name": f"Bo {script}"})

    line = page.locator("#items li")
    expect(line.locator("div p")).to_have_text(script, timeout=WITHIN)
    expect(line.locator("a")).to_have_text(f"Bo {script} answered you")
    expect(line.locator("a")).to_have_attribute("href", "/pages/a+b%2F")
    expect(line.locator("img")).to_have_count(0)
    expect(page).to_have_title("Feed")
