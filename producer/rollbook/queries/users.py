"""Queries for users, from the views that the workers keep."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from rollbook.models import Page, User
from rollbook.queries.query import Statement, Steps, query
from rollbook_shared.database.statements import load
from rollbook_shared.domain.attributes import ATTRIBUTES
from rollbook_shared.domain.sections import trait_key
from rollbook_shared.errors import UserNotFound

_SQL: Final = load(__package__, "users")
_TEXT_ATTRIBUTES: Final = sorted(ATTRIBUTES - {"created_at"})


@query
def find_user(user_id: str) -> Steps[User]:
    """One user, or `UserNotFound`."""
    return _user((yield from find_row(user_id, "user")))


@query
def find_preferences(user_id: str) -> Steps[dict[str, dict[str, Any]]]:
    """The preference sets of one user, or `UserNotFound`."""
    return dict((yield from find_row(user_id, "preferences"))["preferences"])


@query
def find_channel_data(user_id: str) -> Steps[dict[str, dict[str, Any]]]:
    """The channel data of one user, or `UserNotFound`."""
    return dict((yield from find_row(user_id, "channel_data"))["channel_data"])


@query
def find_users(limit: int, after: str | None, where: Mapping[str, Any]) -> Steps[Page[User]]:
    """A page of users in the order of their ids: those after a given id, so that each page costs the same."""
    conditions, parameters = _conditions(where)
    if after is not None:
        conditions.append("id > %(after)s")
    matching = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    # one user more than the page holds shows whether this is the last page
    rows = yield Statement(
        f"{_SQL['users']} {matching} ORDER BY id LIMIT %(limit)s", {**parameters, "after": after, "limit": limit + 1}
    )
    items = tuple(map(_user, rows[:limit]))
    return Page(items=items, after=items[-1].id if len(rows) > limit else None)


def find_row(user_id: str, statement: str) -> Steps[Mapping[str, Any]]:
    """The row of one user, or `UserNotFound` with the user that a merged-away id stands for."""
    rows = yield Statement(_SQL[statement], {"id": user_id})
    if not rows:
        raise UserNotFound(user_id, (yield from find_primary_id(user_id)))
    return rows[0]


def find_primary_id(user_id: str) -> Steps[str | None]:
    """The user that a merged-away id stands for; None if it is not merged away."""
    rows = yield Statement(_SQL["primary_id"], {"id": user_id})
    return rows[0]["merged_into"] if rows else None


def find_profile(user_id: str) -> Steps[Mapping[str, Any] | None]:
    """The row with all values of one user, if there is one."""
    rows = yield Statement(_SQL["profile"], {"id": user_id})
    return rows[0] if rows else None


def _conditions(where: Mapping[str, Any]) -> tuple[list[str], dict[str, object]]:
    conditions: list[str] = []
    parameters: dict[str, object] = {}
    for number, (name, value) in enumerate(where.items()):
        if name not in ATTRIBUTES:
            # on the stored profile: a condition on `properties` would build that object for every user
            conditions.append(f"profile -> %(key_{number})s = %(value_{number})s::jsonb")
            parameters |= {f"key_{number}": trait_key(name), f"value_{number}": json.dumps(value)}
        elif value is None:
            conditions.append(f"{name} IS NULL")
        else:
            conditions.append(f"{name} = %(value_{number})s")
            parameters[f"value_{number}"] = value
    return conditions, parameters


def _user(row: Mapping[str, Any]) -> User:
    created_at: str | None = row["created_at"]
    return User(
        **{name: row[name] for name in _TEXT_ATTRIBUTES},
        id=row["id"],
        created_at=None if created_at is None else datetime.fromisoformat(created_at.upper()),
        properties=row["properties"],
        updated_at=row["updated_at"].astimezone(UTC),
    )
