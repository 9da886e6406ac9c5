"""The console in Chromium: scripts and none, keyboard, phones, dark, accessibility, hostile data, and its pictures."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
from playwright.sync_api import Browser, expect
from tests.support.console.browsers import PHONE, ConsolePage, console_page, picture, pictures
from tests.support.console.visitors import PASSWORD, Accounts, Visitor
from tests.support.server.running_server import RunningServer

from rollbook_server.console.pages import ROUTES

PAGES: Final = [
    route.path
    for route in ROUTES
    if route.method == "GET" and "{" not in route.path and not route.path.endswith("/events")  # which never ends
]
FIRST: Final = [
    "Ann",
    "Bo",
    "Cara",
    "Dario",
    "Emil",
    "Fatima",
    "Grace",
    "Hugo",
    "Ines",
    "Jonas",
    "Kofi",
    "Lena",
    "Mei",
    "Noor",
    "Oscar",
    "Priya",
    "Rosa",
    "Sven",
    "Tara",
]
LAST: Final = ["Miller", "Okafor", "Rossi", "Nguyen", "Keller", "Haddad", "Silva", "Novak", "Kim", "Larsen"]
HOSTILE: Final = "<script>alert('x')</script>"
RIGHT_TO_LEFT: Final = "\u202eabc\u202c שלום"


@pytest.fixture(scope="module")
def database_url(crowded_database_url: str) -> str:
    """Instead of an empty one."""
    return crowded_database_url


@pytest.fixture(scope="module", autouse=True)
def _people(server: RunningServer) -> None:
    chance = random.Random(4)
    with server.client() as api:
        for hundred in range(3):
            people = [person(chance, 100 * hundred + number) for number in range(100)]
            assert api.post("/v1/users/bulk/identify", json={"users": people}).status_code < 300
        hostile: dict[str, Any] = {"name": HOSTILE, "bio": "x" * 200_000, HOSTILE: HOSTILE, "rtl": RIGHT_TO_LEFT}
        hostile |= {
            "emoji": "👩🏽‍🚀" * 50,
            "markup": "</td></table><img src=x onerror=alert(1)>",
            "{{ 7*7 }}": "{{ 7*7 }}",
        }
        for user_id in ("<img src=x onerror=alert(1)>", RIGHT_TO_LEFT, '"onmouseover="alert(1)', "hostile"):
            users = [{"id": user_id, **hostile}]
            assert api.post("/v1/users/bulk/identify", json={"users": users}).status_code < 300
        assert api.put("/v1/users/nul", json={"name": "a\0b"}).status_code == 422
        dead = "INSERT INTO rollbook.dead_letters (id, digest, kind, code, reason, body, user_ids, failed_at) VALUES"
    with psycopg.connect(server.services.client._context._settings.need_database_url()) as connection:
        connection.execute(
            f"{dead} (%s, 'x', 'identify', 'malformed', %s, 'x', '{{}}', now())".encode(), (HOSTILE, HOSTILE)
        )


def person(chance: random.Random, number: int) -> dict[str, Any]:
    first, last = chance.choice(FIRST), chance.choice(LAST)
    return {
        "id": f"user_{number:05}",
        "name": f"{first} {last}",
        "email": f"{first}.{last}.{number}@example.com".lower(),
        "phone_number": f"+4179{chance.randrange(10**7):07}",
        "plan": chance.choice(["free", "pro", "team"]),
        "seats": chance.randrange(1, 40),
        "city": chance.choice(["Zürich", "Lagos", "Seoul", "São Paulo"]),
    }


@pytest.fixture
def console(chromium_browser: Browser, admin: Visitor, server: RunningServer) -> Iterator[ConsolePage]:
    """A page of an admin; the browser may complain of nothing."""
    with console_page(chromium_browser, admin, server.url) as page:
        yield page
        assert page.complaints == []


def test_a_search_shows_what_matches_while_one_types(console: ConsolePage) -> None:
    page = console.open("/users")
    expect(page.locator("tbody tr")).to_have_count(50)

    page.locator("#q").press_sequentially("user_0012")

    expect(page.locator("tbody tr")).to_have_count(10)
    expect(page.locator(".count")).to_have_text("10 users")
    expect(page).to_have_url(f"{page.url.partition('?')[0]}?q=user_0012")
    expect(page.locator("#q")).to_be_focused()


def test_a_name_is_found_among_twenty_thousand(console: ConsolePage) -> None:
    page = console.open("/users")

    page.locator("#q").press_sequentially("member the 1234")

    expect(page.locator(".count")).to_have_text("11 users")
    expect(page.locator("tbody tr")).to_have_count(11)


def test_times_are_shown_in_the_zone_of_the_reader(
    chromium_browser: Browser, admin: Visitor, server: RunningServer
) -> None:
    shown = []
    for zone in ("UTC", "Asia/Seoul"):
        with console_page(chromium_browser, admin, server.url, timezone_id=zone) as console:
            time = console.open("/users?q=user_00001").locator("time").first
            shown.append((time.inner_text(), time.get_attribute("datetime"), time.get_attribute("title")))
    (utc, at, _), (seoul, same, title) = shown

    assert at == same
    assert utc != seoul
    assert title is not None
    assert "Asia/Seoul" in title


def test_everything_is_reached_with_the_keyboard(console: ConsolePage) -> None:
    page = console.open("/users")

    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("/")
    expect(page.locator("#q")).to_be_focused()
    page.keyboard.type("user_0001")
    expect(page.locator("tbody tr")).to_have_count(10)
    page.keyboard.press("Escape")
    for key in "jjjk":
        page.keyboard.press(key)
    expect(page.locator("tbody a").nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/users/user_00011")


def test_nothing_needs_a_script(chromium_browser: Browser, operator: Visitor, server: RunningServer) -> None:
    with console_page(chromium_browser, None, server.url, java_script_enabled=False) as console:
        page = console.open("/users?q=user_00012")
        page.get_by_label("Name").fill("oda")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        expect(page.locator("tbody tr")).to_have_count(1)
        assert page.locator("time").first.inner_text().endswith("UTC")

        page.get_by_text("Show it…").click()
        page.get_by_label("Why do you need").fill("ticket 4711")
        page.get_by_role("button", name="Show it once").click()
        expect(page.locator(".note.shown")).to_be_visible()
        expect(page.locator("tbody")).to_contain_text("@example.com")

        page.locator("#q").fill("user_0002")
        page.get_by_role("button", name="Find").click()
        expect(page.locator("tbody tr")).to_have_count(10)
        expect(page.locator("tbody")).not_to_contain_text("@example.com")
        console.open("/users").get_by_role("link", name="After").click()
        expect(page.get_by_role("link", name="Before")).to_be_visible()
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_role("heading", name="Log in")).to_be_visible()
        assert console.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_core_finds_nothing_on_any_page(
    chromium_browser: Browser, admin: Visitor, operator: Visitor, server: RunningServer, scheme: str
) -> None:
    found: dict[str, list[str]] = {}
    for visitor, paths in (
        (None, ["/login"]),
        (operator, ["/users"]),
        (admin, [*PAGES, "/nothing", "/users?q=unknown"]),
    ):
        with console_page(chromium_browser, visitor, server.url, color_scheme=scheme) as console:
            for path in paths:
                page = console.open(path)
                page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
                if findings := console.accessibility_findings():
                    found[path] = findings
            assert console.complaints == []
            page.evaluate("document.querySelector('main').append(new Image())")
            assert console.accessibility_findings() != []  # that it looks at all

    assert found == {}


def test_no_page_is_wider_than_a_phone(chromium_browser: Browser, admin: Visitor, server: RunningServer) -> None:
    with console_page(chromium_browser, admin, server.url, viewport=PHONE, has_touch=True) as console:
        wide = []
        for path in PAGES:
            console.open(path)
            if console.is_too_wide():
                wide.append(path)

        assert wide == []
        page = console.open("/users")
        page.locator("#q").fill("user_00001")
        page.get_by_role("button", name="Find").click()
        expect(page.locator("tbody tr")).to_have_count(1)


def test_hostile_values_are_text(console: ConsolePage) -> None:
    page = console.open("/users?q=hostile")
    row = page.locator("tbody tr")

    expect(row).to_have_count(1)
    expect(row).to_contain_text(HOSTILE)
    assert len(page.content()) < 50_000  # not all of 200 KB is shown in a list
    for query in ("", "?q=%3Cimg", "?q=%22onmouseover", "?q=%E2%80%AEabc", "?key=name&is=%3Cscript%3Ealert(1)"):
        console.open(f"/users{query}")
        assert page.locator("img:not(.brand img), main script, [onmouseover]").count() == 0
    console.open("")
    assert page.locator("main script").count() == 0
    assert "{{ 7*7 }}" not in page.locator("nav").inner_text()


def test_a_search_after_the_session_has_ended_leads_to_the_login(
    console: ConsolePage, accounts: Accounts, server: RunningServer
) -> None:
    page = console.open("/users")
    page.context.clear_cookies()

    page.locator("#q").press_sequentially("user_1")

    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


def test_a_picture_shows_the_users_light_and_dark(
    chromium_browser: Browser, admin: Visitor, server: RunningServer, tmp_path: Path
) -> None:
    sizes = []
    for scheme in ("light", "dark"):
        with console_page(
            chromium_browser, admin, server.url, color_scheme=scheme, viewport={"width": 1280, "height": 640}
        ) as console:
            console.open("/users?q=user_000")
            sizes.append(picture(console, pictures(tmp_path), f"console-users-{scheme}").stat().st_size)

    assert min(sizes) > 20_000
