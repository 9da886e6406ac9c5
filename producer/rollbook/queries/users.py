"""Reads users from the views that the workers keep."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Text, bindparam, cast, select
from sqlalchemy.dialects.postgresql import JSONB

from rollbook.models import Page, User
from rollbook_shared.database.tables import current_users, merged_users
from rollbook_shared.domain.attributes import ATTRIBUTES
from rollbook_shared.domain.sections import trait_key
from rollbook_shared.errors import UserNotFound

_ATTRIBUTES = tuple(current_users.c[name] for name in sorted(ATTRIBUTES))
_USER = (current_users.c.id, *_ATTRIBUTES, current_users.c.properties, current_users.c.updated_at)


def find_user(connection: Connection, user_id: str) -> User:
    """One user, or `UserNotFound`."""
    return _user(find_row(connection, user_id, *_USER))


def find_row(connection: Connection, user_id: str, *columns: ColumnElement[Any]) -> RowMapping:
    """Some columns of one user, or `UserNotFound` with the user that a merged-away id stands for."""
    row = connection.execute(select(*columns).where(current_users.c.id == user_id)).mappings().first()
    if row is None:
        raise UserNotFound(user_id, primary_of(connection, user_id))
    return row


def primary_of(connection: Connection, user_id: str) -> str | None:
    """The user that a merged-away id stands for."""
    return connection.execute(select(merged_users.c.merged_into).where(merged_users.c.id == user_id)).scalar()


def find_page(connection: Connection, limit: int, after: str | None, where: Mapping[str, Any]) -> Page[User]:
    """A page of users in id order: those after a given id, so that each page costs the same."""
    query = select(*_USER).where(*(_matches(name, value) for name, value in where.items()))
    if after is not None:
        query = query.where(current_users.c.id > after)
    # one more than asked for tells whether this is the last page
    rows = connection.execute(query.order_by(current_users.c.id).limit(limit + 1)).mappings().all()
    users = tuple(map(_user, rows[:limit]))
    return Page(items=users, after=users[-1].id if len(rows) > limit else None)


def _matches(name: str, value: object) -> ColumnElement[bool]:
    if name in ATTRIBUTES:
        return current_users.c[name] == value  # SQLAlchemy makes IS NULL of None
    # on the stored form: a filter on `properties` would build that object for every user
    return current_users.c.profile[trait_key(name)] == cast(bindparam(None, json.dumps(value), Text), JSONB)


def _user(row: RowMapping) -> User:
    created_at: str | None = row["created_at"]
    return User(
        **{name: row[name] for name in ATTRIBUTES - {"created_at"}},
        id=row["id"],
        created_at=None if created_at is None else datetime.fromisoformat(created_at.upper()),
        properties=row["properties"],
        updated_at=row["updated_at"].astimezone(UTC),
    )
