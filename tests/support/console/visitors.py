"""People who use the console in tests: an HTTP client that is logged in, and sends forms as a browser does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final, TypeVar

import httpx

from rollbook.database import Database
from rollbook.queries.query import Query
from rollbook_server.console.accounts import add_account
from rollbook_server.console.audit import AuditEntry, list_audit
from rollbook_server.console.passwords import hash_password
from rollbook_server.console.roles import Role
from rollbook_server.console.sessions import add_login_token, new_token
from rollbook_server.console.settings import ConsoleSettings, SignIn

T = TypeVar("T")
PASSWORD: Final = "correct horse battery"
CONSOLE: Final = ConsoleSettings(sign_in=SignIn.PASSWORD, login_failures=1_000)
_TOKEN: Final = re.compile(r'name="csrf_token" value="([0-9a-f]+)"')


@cache
def _password_hash() -> str:
    """Of all accounts: to make one takes a while."""
    return hash_password(PASSWORD)


class Visitor:
    """A browser without scripts."""

    def __init__(self, url: str, **options: Any) -> None:
        self.http = httpx.Client(base_url=url, timeout=60, **options)

    def get(self, path: str, **query: Any) -> httpx.Response:
        """Load a page."""
        return self.http.get(f"/console{path}", params=query or None)

    def post(self, path: str, form: Mapping[str, Any] | None = None, *, on: str = "") -> httpx.Response:
        """Send a form, with the token of the page `on`; the answer without what it redirects to."""
        token = csrf_of(self.http.get(f"/console{on}", follow_redirects=True))
        return self.send(path, {"csrf_token": token, **(form or {})})

    def send(self, path: str, form: Mapping[str, Any], **headers: str) -> httpx.Response:
        """Send a form as it is."""
        return self.http.post(f"/console{path}", data=dict(form), headers=headers)

    def log_in(self, name: str, password: str = PASSWORD) -> httpx.Response:
        """Log in with the form."""
        return self.post("/login", {"name": name, "password": password}, on="/login")


def csrf_of(page: httpx.Response) -> str:
    """The token in the forms of a page."""
    found = _TOKEN.search(page.text)
    return found[1] if found else ""


class Accounts:
    """The accounts of a console's database."""

    def __init__(self, database_url: str, url: str) -> None:
        self.database_url = database_url
        self._url = url

    def run(self, query: Query[T]) -> T:
        """Run a query of the console."""
        database = Database(self.database_url)
        try:
            return database.run(query)
        finally:
            database.close()

    def add(self, name: str, role: Role = Role.READER, *, sees_personal_data: bool = False) -> str:
        """Add an account with the usual password; return its name."""
        self.run(add_account(name, _password_hash(), role, sees_personal_data))
        return name

    def link(self, name: str, lifetime: Any) -> str:
        """A token that logs in once."""
        token = new_token()
        assert self.run(add_login_token(name, token, lifetime))
        return token

    def visitor(self, name: str, role: Role = Role.READER, *, sees_personal_data: bool = False) -> Visitor:
        """Someone who is logged in to a new account."""
        visitor = Visitor(self._url)
        assert visitor.log_in(self.add(name, role, sees_personal_data=sees_personal_data)).status_code == 303
        return visitor

    def audit(self, **filters: Any) -> list[AuditEntry]:
        """The newest rows of the audit."""
        return list(self.run(list_audit(limit=50, **filters)).items)
