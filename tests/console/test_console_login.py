"""The login: passwords, links that work once, and how many may fail."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest
from tests.support.console.visitors import CONSOLE, PASSWORD, Accounts, Visitor, csrf_of
from tests.support.server.running_server import RunningServer, run_server

from rollbook_server.console.login_limits import WINDOW_SECONDS, LoginLimits
from rollbook_server.console.roles import Role
from rollbook_server.settings import ServerSettings


@pytest.fixture
def visitor(server: RunningServer) -> Visitor:
    return Visitor(server.url)


@pytest.fixture(scope="module")
def ann(accounts: Accounts) -> str:
    return accounts.add("ann")


def test_a_login_leads_to_the_page_that_was_asked_for(visitor: Visitor, ann: str) -> None:
    asked = visitor.get("/users", q="bo")
    form = {"name": ann, "password": PASSWORD, "next": "/console/users?q=bo"}

    answer = visitor.post("/login", form, on="/login")

    assert asked.headers["location"] == "/console/login?next=%2Fconsole%2Fusers%3Fq%3Dbo"
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/users?q=bo")
    cookie = next(value for value in answer.headers.get_list("set-cookie") if value.startswith("rollbook_console="))
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/console" in cookie
    assert visitor.get("/users").status_code == 200


@pytest.mark.parametrize(
    "address",
    ["https://evil.example", "//evil.example", "/\\evil.example", "/console/../v1", "/v1/users", "/consoles", ""],
)
def test_a_login_leads_to_no_other_site(visitor: Visitor, ann: str, address: str) -> None:
    answer = visitor.post("/login", {"name": ann, "password": PASSWORD, "next": address}, on="/login")

    assert answer.headers["location"] in ("/console", "/console/../v1")


def test_a_wrong_login_says_neither_which_part_is_wrong_nor_whose(
    visitor: Visitor, ann: str, accounts: Accounts
) -> None:
    answers = [visitor.log_in(ann, "wrong wrong wrong"), visitor.log_in("unknown person"), visitor.log_in("")]

    assert {answer.status_code for answer in answers} == {401}
    assert all("The name or the password is wrong." in answer.text for answer in answers)
    rows = accounts.audit(action="login")[:3]
    assert [row.account for row in rows] == [None, None, ann]
    assert {row.outcome for row in rows} == {"rejected"}


def test_an_account_without_a_password_does_not_log_in_with_one(visitor: Visitor, accounts: Accounts) -> None:
    accounts.add("passwordless")
    with psycopg.connect(accounts.database_url) as connection:
        connection.execute("UPDATE rollbook.console_accounts SET password_hash = NULL WHERE name = 'passwordless'")

    assert [visitor.log_in("passwordless", password).status_code for password in ("", PASSWORD)] == [401, 401]


def test_a_login_starts_a_session_of_its_own(visitor: Visitor, ann: str) -> None:
    planted = "x" * 43
    form = {"name": ann, "password": PASSWORD, "csrf_token": csrf_of(visitor.get("/login"))}
    cookies = f"rollbook_console={planted}; rollbook_console_csrf={visitor.http.cookies['rollbook_console_csrf']}"

    assert visitor.send("/login", form, cookie=cookies).status_code == 303

    assert visitor.http.cookies["rollbook_console"] != planted
    assert visitor.http.get("/console/users", headers={"cookie": f"rollbook_console={planted}"}).status_code == 303


def test_a_logout_ends_the_session_and_not_only_the_cookie(visitor: Visitor, ann: str) -> None:
    visitor.log_in(ann)
    cookies = dict(visitor.http.cookies)

    assert visitor.post("/logout", on="/account").headers["location"] == "/console/login"

    visitor.http.cookies.update(cookies)
    assert visitor.get("/users").status_code == 303


def test_a_link_works_once(server: RunningServer, accounts: Accounts) -> None:
    accounts.add("linked", Role.OPERATOR)
    token = accounts.link("linked", timedelta(minutes=5))
    first, second = Visitor(server.url), Visitor(server.url)
    page = f"/login/link?token={token}"
    assert "Log in" in first.get(page).text  # to look at it does not use it up

    assert first.post("/login/link", {"token": token}, on=page).status_code == 303
    assert second.post("/login/link", {"token": token}, on=page).status_code == 401

    assert first.get("/users").status_code == 200
    assert second.get("/users").status_code == 303


def test_a_link_expires(visitor: Visitor, accounts: Accounts, ann: str) -> None:
    token = accounts.link(ann, timedelta(0))

    assert visitor.post("/login/link", {"token": token}, on=f"/login/link?token={token}").status_code == 401


def test_a_password_that_is_set_ends_sessions_and_links(
    admin: Visitor, server: RunningServer, accounts: Accounts
) -> None:
    holder = accounts.visitor("changing")
    token = accounts.link("changing", timedelta(minutes=5))
    new = "another long password"

    assert admin.post("/accounts/changing/password", {"password": new}, on="/accounts").status_code == 303

    assert holder.get("/users").status_code == 303
    other = Visitor(server.url)
    assert other.post("/login/link", {"token": token}, on="/login/link").status_code == 401
    assert [other.log_in("changing").status_code, other.log_in("changing", new).status_code] == [401, 303]


def test_people_change_their_own_password_with_the_old_one(accounts: Accounts) -> None:
    visitor, new = accounts.visitor("own"), "my own long password"

    wrong = visitor.post("/account/password", {"current": "no", "password": new}, on="/account")
    short = visitor.post("/account/password", {"current": PASSWORD, "password": "short"}, on="/account")
    right = visitor.post("/account/password", {"current": PASSWORD, "password": new}, on="/account")

    assert [wrong.status_code, short.status_code, right.status_code] == [403, 400, 303]
    assert visitor.log_in("own", new).status_code == 303


def test_after_some_failures_not_even_the_right_password_is_accepted(
    database_url: str, broker_url: str, ann: str
) -> None:
    with run_server(database_url, broker_url, ServerSettings(), console=replace(CONSOLE, login_failures=2)) as strict:
        visitor = Visitor(strict.url)
        answers = [visitor.log_in(ann, "wrong wrong wrong").status_code for _ in range(2)]
        answers.append(visitor.log_in(ann).status_code)

    assert answers == [401, 401, 429]


def test_failures_are_forgotten_after_a_while_and_counted_by_account_and_address() -> None:
    now = 0.0
    limits = LoginLimits(2, clock=lambda: now)
    for address in ("a", "b"):
        limits.record_failure("ann", address)

    assert not limits.allows("ann", "c")
    assert limits.allows("bo", "a")
    for number in range(7):
        limits.record_failure(f"guess-{number}", "a")
    assert not limits.allows("bo", "a")
    assert limits.allows("bo", "b")
    now = WINDOW_SECONDS + 1
    assert limits.allows("ann", "a")
