"""The accounts of the console, in Postgres. The commands of `rollbook console` use the same queries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from rollbook.queries.query import Statement, Steps, query, write_query
from rollbook_server.console.roles import Role
from rollbook_shared.database.statements import load
from rollbook_shared.errors import InvalidRequest, Problem

MAX_NAME: Final = 100
_FORBIDDEN: Final = frozenset("/?#")
_SQL: Final = load(__package__, "accounts")


@dataclass(frozen=True, kw_only=True, slots=True)
class ConsoleAccount:
    """Who may use the console."""

    name: str
    role: Role
    sees_personal_data: bool
    """Whether personal data is shown; otherwise it is masked."""
    has_password: bool = False
    created_at: datetime | None = None

    @property
    def may_reveal(self) -> bool:
        """Whether it may have masked data shown, with a reason."""
        return self.role.includes(Role.OPERATOR)


def checked_name(name: str) -> str:
    """The name of an account.

    Raises:
        InvalidRequest: it is empty, too long, or has characters that are not shown, or mean something in an address.
    """
    if not 0 < len(name) <= MAX_NAME or not name.isprintable() or name != name.strip() or _FORBIDDEN & set(name):
        raise InvalidRequest(
            [Problem("name", f"must be 1 to {MAX_NAME} printable characters without blanks around, none of / ? #")]
        )
    return name


@query
def find_account(name: str) -> Steps[tuple[ConsoleAccount, str | None] | None]:
    """The account and the hash of its password; None if there is none."""
    rows = yield Statement(_SQL["find"], {"name": name})
    return (account_of(rows[0]), rows[0]["password_hash"]) if rows else None


@query
def list_accounts() -> Steps[tuple[ConsoleAccount, ...]]:
    """All accounts by name."""
    return tuple(map(account_of, (yield Statement(_SQL["list"], {}))))


@write_query
def add_account(name: str, password_hash: str | None, role: Role, sees_personal_data: bool) -> Steps[bool]:
    """Add an account; says whether it did: there may be one of this name."""
    parameters = {"name": name, "hash": password_hash, "role": role, "sees_personal_data": sees_personal_data}
    return bool((yield Statement(_SQL["add"], parameters)))


@write_query
def change_account(name: str, role: Role, sees_personal_data: bool) -> Steps[bool]:
    """Change what an account may do; says whether there is one."""
    parameters = {"name": name, "role": role, "sees_personal_data": sees_personal_data}
    return bool((yield Statement(_SQL["change"], parameters)))


@write_query
def set_password(name: str, password_hash: str | None) -> Steps[bool]:
    """Set a password, or take it away, and end all sessions of the account; says whether there is one."""
    found = bool((yield Statement(_SQL["set_password"], {"name": name, "hash": password_hash})))
    yield Statement(_SQL["end_sessions"], {"name": name})
    yield Statement(_SQL["end_login_tokens"], {"name": name})
    return found


@write_query
def remove_account(name: str) -> Steps[bool]:
    """Remove an account with its sessions; says whether there was one."""
    return bool((yield Statement(_SQL["remove"], {"name": name})))


def account_of(row: Mapping[str, Any]) -> ConsoleAccount:
    """The account of a row with its columns."""
    return ConsoleAccount(
        name=row["name"],
        role=Role(row["role"]),
        sees_personal_data=row["sees_personal_data"],
        has_password=row["password_hash"] is not None,
        created_at=row["created_at"],
    )
