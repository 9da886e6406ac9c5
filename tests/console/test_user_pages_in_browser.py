"""The pages of users in a browser: accessible, on a phone, with the keyboard alone, and without scripts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from tests.support.console.applied import applying
from tests.support.console.browsers import OPEN_ALL, PHONE, WIDE, console_page, picture, pictures
from tests.support.console.visitors import Visitor
from tests.support.server.running_server import RunningServer

from rollbook import Rollbook

PAGES = (
    "/users/ann",
    "/users/ann/merge?from=guest",
    "/messages?job_id=of-digest&user_id=ann",
    "/users/never",
    "/users/member-00000003",
)


@pytest.fixture(scope="module")
def database_url(crowded_database_url: str) -> str:
    """Instead of an empty one."""
    return crowded_database_url


@pytest.fixture(scope="module", autouse=True)
def _people(database_url: str) -> None:
    with applying(database_url) as rb:
        rb.users.identify("ann", {"name": "Ann", "plan": "pro", "<script>window.evil = 1</script>": "x" * 5_000})
        rb.users.identify("guest", {"plan": "trial", "city": "Bern"})
        rb.users.set_preferences("guest", "default", {"workflows": {"digest": True}, "channel_types": {"sms": False}})
        rb.users.identify("earlier", {"plan": "none"})
        rb.users.merge("ann", "earlier")
        rb.users.add_push_token("ann", "push", "a-token-of-a-phone", device={"locale": "de"})
        rb.users.set_preferences("ann", "default", {"workflows": {"digest": {"channel_types": {"email": False}}}})
        rb.workflows.trigger("digest", ["ann"], channels=["email", "in_app"], job_id="of-digest")
    with applying(database_url) as rb:
        _lena(rb)


def _lena(rb: Rollbook) -> None:
    """The user of the picture: a guest who signed up, and was reached since."""
    start = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
    at = iter(start + timedelta(days=2 * number, hours=number) for number in range(20))
    rb.users.identify("guest_71", {"cart": {"items": 2}, "city": "Zürich"}, occurred_at=next(at))
    rb.workflows.trigger("cart-left", ["guest_71"], occurred_at=next(at))
    lena = {"name": "Lena Keller", "email": "lena.keller@example.com", "phone_number": "+41791234567", "plan": "pro"}
    rb.users.identify("lena", {**lena, "seats": 4, "locale": "de-CH"}, occurred_at=next(at))
    rb.users.merge("lena", "guest_71", occurred_at=next(at))
    settings = {"workflows": {"digest": {"channel_types": {"email": False}}}, "categories": {"marketing": False}}
    rb.users.set_preferences("lena", "default", settings, occurred_at=next(at))
    rb.users.add_push_token(
        "lena", "fcm", "f7Ks-a-token-of-a-phone-2Q", device={"locale": "de-CH"}, occurred_at=next(at)
    )
    for workflow in ("welcome", "digest", "comment", "comment"):
        rb.workflows.trigger(workflow, ["lena"], actor="ann", channels=["in_app", "email"], occurred_at=next(at))


@pytest.mark.parametrize(("size", "scheme"), [(PHONE, "dark"), (WIDE, "light")], ids=["phone", "wide"])
def test_pages_are_accessible_fit_the_window_and_run_nothing_of_the_data(
    chromium_browser: Browser, admin: Visitor, server: RunningServer, size: dict[str, int], scheme: str
) -> None:
    found: dict[str, list[str]] = {}
    with console_page(chromium_browser, admin, server.url, viewport=size, color_scheme=scheme) as console:
        for path in PAGES:
            page = console.open(path)

            assert not console.is_too_wide()
            assert page.evaluate("window.evil") is None
            page.evaluate(OPEN_ALL)
            if findings := console.accessibility_findings():
                found[path] = findings
        assert console.complaints == []
    assert found == {}


def test_one_action_is_open_at_a_time(chromium_browser: Browser, admin: Visitor, server: RunningServer) -> None:
    with console_page(chromium_browser, admin, server.url) as console:
        page = console.open("/users/ann")
        for label in ("Export…", "Delete…"):
            page.get_by_text(label, exact=True).click()

        assert page.locator(".heading details[open]").count() == 1
        assert page.get_by_label("Type the id to confirm").is_visible()


def test_a_merge_needs_no_script_and_no_mouse(
    chromium_browser: Browser, operator: Visitor, server: RunningServer, database_url: str
) -> None:
    with console_page(chromium_browser, operator, server.url, java_script_enabled=False) as console:
        page = console.open("/users/ann/merge")
        press_to(page, "from")
        page.keyboard.type("guest")
        page.keyboard.press("Enter")
        page.wait_for_url("**from=guest**")
        press_to(page, "confirm")
        page.keyboard.press("Space")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_url("**/console/users/ann")

        assert "The users were merged." in page.content()
        assert console.complaints == []
    with Rollbook(database_url=database_url) as rb:
        assert rb.users.get("ann").properties["city"] == "Bern"


def test_a_picture_shows_one_user(
    chromium_browser: Browser, admin: Visitor, server: RunningServer, tmp_path: Path
) -> None:
    with console_page(
        chromium_browser, admin, server.url, color_scheme="light", viewport={"width": 1280, "height": 860}
    ) as console:
        console.open("/users/lena")
        file = picture(console, pictures(tmp_path), "console-user-light")

    assert file.stat().st_size > 20_000


def press_to(page: Page, name: str) -> None:
    """Press Tab until the field has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.locator(f"[name={name}]:focus").count():
            return
    raise AssertionError(f"no Tab leads to {name}")
