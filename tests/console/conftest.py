"""A server with its console, on a database of the module's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser
from tests.support.console.crowd import fill_crowd
from tests.support.console.visitors import CONSOLE, Accounts, Visitor
from tests.support.dashboard.browser import browser, chromium
from tests.support.databases import Databases
from tests.support.server.running_server import RunningServer, run_server

from rollbook_server.console.roles import Role
from rollbook_server.settings import ServerSettings


@pytest.fixture(scope="session")
def crowd(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database with as many users as the demo has; browsers get copies of it."""
    url = databases.lend()
    fill_crowd(url, str(tmp_path_factory.mktemp("crowd") / "registry.toml"))
    yield url
    databases.take_back(url)


@pytest.fixture(scope="module")
def crowded_database_url(databases: Databases, crowd: str) -> Iterator[str]:
    """A database of the module's own, with the users of the demo."""
    url = databases.copy(crowd)
    yield url
    databases.take_back(url)


@pytest.fixture(scope="module")
def server(database_url: str, broker_url: str) -> Iterator[RunningServer]:
    with run_server(database_url, broker_url, ServerSettings(), console=CONSOLE) as server:
        yield server


@pytest.fixture(scope="module")
def accounts(server: RunningServer, database_url: str) -> Accounts:
    return Accounts(database_url, server.url)


@pytest.fixture(scope="module")
def admin(accounts: Accounts) -> Visitor:
    """An admin who sees personal data."""
    return accounts.visitor("ada", Role.ADMIN, sees_personal_data=True)


@pytest.fixture(scope="module")
def operator(accounts: Accounts) -> Visitor:
    """An operator for whom personal data is masked."""
    return accounts.visitor("oda", Role.OPERATOR)


@pytest.fixture(scope="module")
def reader(accounts: Accounts) -> Visitor:
    """A reader for whom personal data is masked."""
    return accounts.visitor("rex", Role.READER)


@pytest.fixture(scope="module")
def chromium_browser(admin: Visitor, operator: Visitor) -> Iterator[Browser]:
    """Started when all accounts are there: it keeps an event loop in this thread."""
    if chromium() is None:
        pytest.skip("Chromium is not installed (Debian: apt-get install chromium)")
    with browser() as running:
        yield running
