"""Who may do what in the console, asked by requests: no page is shown and nothing is done for anyone else."""

from __future__ import annotations

import logging
import re

import psycopg
import pytest
from tests.support.console.visitors import CONSOLE, Accounts, Visitor, csrf_of
from tests.support.server.running_server import RunningServer, run_server

from rollbook_server.console.pages import ROUTES
from rollbook_server.console.roles import Role
from rollbook_server.console.routes import ConsoleRoute
from rollbook_server.console.settings import ConsoleSettings, SignIn
from rollbook_server.settings import ServerSettings
from rollbook_shared.errors import NotConfigured

PAGES = [route for route in ROUTES if route.method == "GET"]
ACTIONS = [route for route in ROUTES if route.method == "POST"]


def path_of(route: ConsoleRoute) -> str:
    return re.sub(r"\{\w+\}", "00000000-0000-4000-8000-000000000000", route.path)


def name_of(route: ConsoleRoute) -> str:
    return route.name


@pytest.fixture
def stranger(server: RunningServer) -> Visitor:
    return Visitor(server.url)


@pytest.mark.parametrize("route", PAGES, ids=name_of)
def test_no_page_is_shown_without_a_login(stranger: Visitor, route: ConsoleRoute) -> None:
    answer = stranger.get(path_of(route))

    assert (answer.status_code, answer.text) == (303, "")
    assert answer.headers["location"].startswith("/console/login?next=%2Fconsole")


@pytest.mark.parametrize("route", ACTIONS, ids=name_of)
def test_nothing_is_done_without_a_login(stranger: Visitor, route: ConsoleRoute) -> None:
    assert stranger.post(path_of(route), on="/login").status_code == 401


@pytest.mark.parametrize("route", [route for route in ROUTES if route.role is not Role.READER], ids=name_of)
def test_a_reader_does_not_get_what_needs_another_role(
    reader: Visitor, accounts: Accounts, route: ConsoleRoute
) -> None:
    if route.method == "GET":
        assert reader.get(path_of(route)).status_code == 403
        return
    answer = reader.post(path_of(route), on="/account")

    assert answer.status_code == 403
    assert "Not permitted" in answer.text
    newest = accounts.audit(account="rex", action=route.action)[0]
    assert (newest.outcome, newest.reason) == ("rejected", "Not permitted")


@pytest.mark.parametrize("route", [route for route in ROUTES if route.role is Role.ADMIN], ids=name_of)
def test_an_operator_does_not_get_what_is_for_admins(operator: Visitor, route: ConsoleRoute) -> None:
    path = path_of(route)
    answer = operator.get(path) if route.method == "GET" else operator.post(path, on="/account")

    assert answer.status_code == 403


@pytest.mark.parametrize("route", ACTIONS, ids=name_of)
def test_no_action_is_done_without_the_token_of_the_session(
    admin: Visitor, accounts: Accounts, reader: Visitor, route: ConsoleRoute
) -> None:
    stolen = csrf_of(reader.get("/account"))

    for form in ({}, {"csrf_token": ""}, {"csrf_token": "0" * 64}, {"csrf_token": stolen}):
        answer = admin.send(path_of(route), form)
        assert (answer.status_code, "too old" in answer.text) == (403, True)
    assert accounts.audit(account="ada", action=route.action)[0].outcome == "rejected"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
def test_no_form_of_another_origin_is_accepted(admin: Visitor, origin: str) -> None:
    token = csrf_of(admin.get("/accounts"))

    answer = admin.send("/accounts", {"csrf_token": token, "name": "eve", "role": "admin"}, origin=origin)

    assert answer.status_code == 403
    assert "eve" not in admin.get("/accounts").text


def test_a_route_without_a_role_does_not_exist() -> None:
    with pytest.raises(TypeError):
        ConsoleRoute(method="POST", path="/x", page=ROUTES[0].page, action="x")  # type: ignore[call-arg]
    with pytest.raises(ValueError):
        ConsoleRoute(method="POST", path="/x", page=ROUTES[0].page, role=Role.READER)


def test_paths_and_actions_are_unique() -> None:
    assert len({(route.method, route.path) for route in ROUTES}) == len(ROUTES)
    assert len({route.action for route in ACTIONS}) == len(ACTIONS)


def test_every_page_keeps_others_out(admin: Visitor, stranger: Visitor) -> None:
    for page in (admin.get("/users"), admin.get("/nothing"), stranger.get("/login")):
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["referrer-policy"] == "same-origin"
        assert not re.search(r"<style|<script>| style=| on\w+=|https?://", page.text)


def test_assets_are_kept_and_change_their_address(stranger: Visitor) -> None:
    addresses = re.findall(r'(?:href|src)="(/console/assets/[^"]+)"', stranger.get("/login").text)

    assert len(set(addresses)) == 3
    for address in addresses:
        found = stranger.http.get(address)
        assert (found.status_code, "immutable" in found.headers["cache-control"]) == (200, True)
        assert stranger.http.get(re.sub(r"[0-9a-f]{12}", "0" * 12, address)).status_code == 404


def test_the_console_is_off_unless_configured(database_url: str, broker_url: str) -> None:
    with run_server(database_url, broker_url, ServerSettings()) as server:
        assert Visitor(server.url).get("/login").status_code == 404


def test_a_host_that_is_not_this_machine_is_not_served(server: RunningServer, stranger: Visitor) -> None:
    answer = stranger.http.get("/console/login", headers={"host": "rebound.example:8787"})

    assert answer.status_code == 421


def test_only_peers_reach_the_console(database_url: str, broker_url: str) -> None:
    settings = ConsoleSettings(sign_in=SignIn.PASSWORD, url="https://console.example", peers=("10.9.8.0/24",))
    with run_server(database_url, broker_url, ServerSettings(), console=settings) as server:
        visitor = Visitor(server.url)
        found = [visitor.get(path).status_code for path in ("/login", "", "/assets/x/console.css")]

    assert found == [404, 404, 404]


def test_a_proxy_names_the_account(database_url: str, broker_url: str) -> None:
    settings = ConsoleSettings(sign_in=SignIn.PROXY, proxy_header="x-user")
    with run_server(database_url, broker_url, ServerSettings(), console=settings) as server:
        Accounts(database_url, server.url).add("pat@example.com", Role.ADMIN)
        pat = Visitor(server.url, headers={"x-user": "pat@example.com"})
        strangers = [{}, {"x-user": "unknown"}, {"x-user": ""}]

        assert "pat@example.com" in pat.get("").text
        assert pat.post("/accounts", {"name": "sam", "role": "reader"}, on="/accounts").status_code == 303
        assert [Visitor(server.url, headers=headers).get("").status_code for headers in strangers] == [403] * 3
        twice = [("x-user", "eve"), ("x-user", "pat@example.com")]
        assert Visitor(server.url, headers=twice).get("").status_code == 403
        assert pat.get("/login").status_code == 404


def test_the_log_names_pages_and_no_person(
    admin: Visitor, server: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    admin.get("/users", q="marked@example.com")
    admin.get("/users/marked")
    admin.post("/users?q=marked", {"reveal_reason": "marked"}, on="/users")

    assert "GET /console/users 200" in caplog.text
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("rollbook")]
    assert "marked" not in "".join(ours)
    assert "marked" not in server.metrics()


def test_each_request_looks_whether_the_account_is_still_there(admin: Visitor, accounts: Accounts) -> None:
    visitor = accounts.visitor("leaving", Role.OPERATOR)
    assert visitor.get("/users").status_code == 200

    assert admin.post("/accounts/leaving/remove", on="/accounts").status_code == 303

    assert visitor.get("/users").status_code == 303


def test_a_session_ends_with_its_time_and_when_it_is_not_used(accounts: Accounts, database_url: str) -> None:
    for name, change in (("late", "expires_at = now()"), ("idle", "last_seen_at = now() - interval '3 hours'")):
        visitor = accounts.visitor(name)
        assert visitor.get("/users").status_code == 200
        with psycopg.connect(database_url) as connection:
            connection.execute(f"UPDATE rollbook.console_sessions SET {change} WHERE account = '{name}'".encode())

        assert visitor.get("/users").status_code == 303


@pytest.mark.parametrize(
    "settings",
    [
        {"peers": ("0.0.0.0/0",)},
        {"peers": ("10.0.0.0/8",)},
        {"peers": ("10.0.0.0/8",), "url": "http://console.example"},
        {"peers": ("anywhere",)},
        {"sign_in": SignIn.PROXY, "peers": ("0.0.0.0/0",), "url": "https://console.example"},
    ],
)
def test_a_console_that_would_be_open_does_not_start(settings: dict[str, object]) -> None:
    with pytest.raises(NotConfigured, match="ROLLBOOK_CONSOLE_"):
        ConsoleSettings(**{"sign_in": SignIn.PASSWORD, **settings})  # type: ignore[arg-type]


def test_the_settings_of_the_tests_are_accepted() -> None:
    assert CONSOLE.is_on
    assert ConsoleSettings(sign_in=SignIn.PASSWORD, peers=("10.0.0.0/8",), url="https://console.example").is_secure
