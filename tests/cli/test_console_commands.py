"""`rollbook console`: accounts, passwords and links; and what the doctor says of the console."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.support.console.visitors import CONSOLE, Visitor
from tests.support.operations.findings import named
from tests.support.privacy.roles import logins, make_roles
from tests.support.server.running_server import RunningServer, run_server
from typer.testing import CliRunner

from rollbook_ops.cli.app import app
from rollbook_ops.doctor import Level
from rollbook_ops.doctor.console import examine_console
from rollbook_server.console.settings import ConsoleSettings
from rollbook_server.settings import ServerSettings
from rollbook_shared.settings import Settings

PASSWORD = "correct horse battery"


@pytest.fixture
def run(fresh_database_url: str) -> Run:
    return Run(fresh_database_url)


class Run:
    """Runs commands on a database."""

    def __init__(self, database_url: str) -> None:
        self.database_url = database_url
        self.code = 0

    def __call__(self, *words: str, typed: str = "", **env: str) -> str:
        settings = {"ROLLBOOK_DATABASE_URL": self.database_url, **env}
        shown = CliRunner(env=settings).invoke(app, ["console", *words], input=typed)
        self.code = shown.exit_code
        if shown.exception is not None and not isinstance(shown.exception, SystemExit):
            raise shown.exception
        return shown.stdout


@pytest.fixture
def server(fresh_database_url: str, broker_url: str) -> Iterator[RunningServer]:
    with run_server(fresh_database_url, broker_url, ServerSettings(), console=CONSOLE) as server:
        yield server


def test_an_account_that_was_added_logs_in(run: Run, server: RunningServer) -> None:
    run("accounts", "add", "ann@example.com", "--role", "operator", typed=f"{PASSWORD}\n{PASSWORD}\n")
    assert run.code == 0

    assert Visitor(server.url).log_in("ann@example.com", PASSWORD).status_code == 303
    (listed,) = json.loads(run("accounts", "list", "--json"))
    assert (listed["name"], listed["role"], listed["has_password"]) == ("ann@example.com", "operator", True)
    assert "password_hash" not in listed


def test_a_link_logs_in_to_the_server_that_the_settings_name(run: Run, server: RunningServer) -> None:
    run("accounts", "add", "bo", "--no-password")

    link = urlsplit(run("login-link", "bo", ROLLBOOK_SERVER_URL=server.url).strip())

    assert f"{link.scheme}://{link.netloc}" == server.url
    visitor, page = Visitor(server.url), f"{link.path.removeprefix('/console')}?{link.query}"
    token = parse_qs(link.query)["token"][0]
    assert visitor.post("/login/link", {"token": token}, on=page).status_code == 303


def test_a_password_is_set_and_an_account_removed(run: Run, server: RunningServer) -> None:
    run("accounts", "add", "cy", "--password-stdin", typed=f"{PASSWORD}\n")
    run("accounts", "set-password", "cy", "--password-stdin", typed="another long password\n")
    visitor = Visitor(server.url)

    assert [visitor.log_in("cy", PASSWORD).status_code, visitor.log_in("cy", "another long password").status_code] == [
        401,
        303,
    ]
    run("accounts", "remove", "cy")
    assert run.code == 0
    assert visitor.get("/users").status_code == 303


def test_what_cannot_be_done_is_an_error(run: Run) -> None:
    run("accounts", "add", "ann", "--no-password")
    codes = []
    for words in (
        ("accounts", "add", "ann", "--no-password"),
        ("accounts", "remove", "unknown"),
        ("login-link", "unknown"),
    ):
        run(*words)
        codes.append(run.code)

    assert codes == [1, 1, 1]


@pytest.mark.parametrize("words", [("a/b", "--no-password"), (" ", "--no-password")])
def test_a_name_that_is_not_valid_is_rejected(run: Run, words: tuple[str, ...]) -> None:
    with pytest.raises(ValueError):
        run("accounts", "add", *words)


def test_a_short_password_is_rejected(run: Run) -> None:
    with pytest.raises(ValueError, match="12"):
        run("accounts", "add", "ann", "--password-stdin", typed="short\n")


def test_the_doctor_says_whether_people_can_log_in(run: Run) -> None:
    settings = Settings(database_url=run.database_url)

    def level() -> Level:
        return named(examine_console(settings, CONSOLE), "console").level

    assert list(examine_console(settings, ConsoleSettings())) == []
    assert level() is Level.WARNING
    run("accounts", "add", "ann", "--no-password", "--role", "admin")
    assert level() is Level.WARNING
    run("accounts", "set-password", "ann", "--password-stdin", typed=f"{PASSWORD}\n")
    assert level() is Level.OK


def test_the_doctor_names_the_role_that_the_console_needs(run: Run) -> None:
    make_roles(run.database_url)
    with logins(run.database_url) as login:
        finding = named(examine_console(Settings(database_url=login("rollbook_server")), CONSOLE), "console")

    assert finding.level is Level.PROBLEM
    assert "rollbook_console" in finding.advice
